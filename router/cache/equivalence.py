"""Equivalence of questions, which the cosine of vectors alone cannot decide.

"Flights from A to B" and its reversal have a cosine of 0.99. So likeness starts from the cosine and
loses: everything where the two contradict each other (numbers, dates, negation, names, direction),
some for each word that only one of them has, and some for other stored questions that are about as near:
where questions lie that close, nearness can't tell them apart. Where the words agree they decide, so at a
threshold of 0.95 nothing else passes. A missed hit costs milliseconds, a wrong one an answer.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from router.backends.tokenization import stem
from router.cache.canonical_question import canonicalize, canonicalize_loosely
from router.cache.question_features import QuestionFeatures, extract_features, split_words

DIFFERENCE_PENALTY = 0.06
"""What any difference that may matter costs at least: at 0.95 nothing with one passes."""
UNSHARED_WORDS_PENALTY = 0.2
"""What it costs on top when the two share no word at all; in between by weight of the words."""
NEIGHBOUR_MARGIN = 0.3
"""The nearer another stored question is, whatever its words, the less sure is the one that was chosen."""
RIVAL_MARGIN = 0.2
"""Where the words agree, only another question with nearly the same words is in the way."""
CONTRADICTION_SCORE = -1.0

_OPPOSITES = tuple(
    frozenset(map(stem, pair.split()))
    for pair in split_words(
        "before after|first last|highest lowest|high low|most least|most fewest|more less|more fewer|"
        "large small|largest smallest|biggest smallest|greatest smallest|longest shortest|"
        "fastest slowest|maximum minimum|max min|above below|over under|increase decrease|"
        "increase reduce|rise fall|grow shrink|open closed|active inactive|start end|begin end|"
        "start stop|buy sell|sold bought|oldest newest|old new|earliest latest|oldest latest|"
        "next last|next previous|incoming outgoing|upstream downstream|import export|"
        "approved rejected|accept reject|accept decline|internal external|enable disable|add remove|"
        "include exclude|pro con|best worst|better worse|good bad|advantage disadvantage|"
        "male female|man woman|men women|north south|east west|win lose|won lost|gain loss|gain lose|"
        "push pull|send receive|sent received|lend borrow|hire fire|join leave|arrive depart|"
        "arrive leave|upload download|encrypt decrypt|cheapest expensive|cheap expensive|left right|"
        "from to|with without|paid unpaid|pass fail|succeed fail|success failure|present absent|"
        "full empty|on off|up down|in out|since until|customer supplier|customer vendor|buyer seller|"
        "debit credit|asset liability|profit loss|revenue cost|income expense|upgrade downgrade|"
        "lock unlock|allow deny|allow forbid|allow prohibit|legal illegal",
        "|",
    )
)
_NEGATING_PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "de")
_SPECIFIC_ASKS = frozenset({"who", "when", "where", "count", "duration", "often", "why"})


@dataclass(frozen=True, slots=True)
class QuestionMatch:
    """The index of a candidate and its similarity, at most its cosine.

    ``passes`` is the highest threshold at which it is an answer, above the similarity when words decide.
    """

    index: int
    similarity: float
    threshold_max: float


def similarity(one: str, other: str, cosine: float) -> float:
    """Return the cosine minus the difference of words; ``CONTRADICTION`` for different questions."""
    return cosine if is_same_question(one, other) else _similarity_by_words(one, other, cosine)


def _similarity_by_words(one: str, other: str, cosine: float) -> float:
    first, second = extract_features(one), extract_features(other)
    if _is_contradiction(first, second):
        return CONTRADICTION_SCORE
    if _has_same_wording(one, other):
        return cosine
    return cosine - DIFFERENCE_PENALTY - UNSHARED_WORDS_PENALTY * _unshared_weight(first, second)


def is_same_question(one: str, other: str) -> bool:
    """Return True only when both certainly ask for the same."""
    return canonicalize(one) == canonicalize(other)


def best_match(
    query: str, candidates: Sequence[tuple[str, float]], alike: Collection[int] | None = None
) -> QuestionMatch | None:
    """Return the best of the candidates (question, cosine; nearest first), reduced by its rivals.

    Candidates are of different cores. ``alike`` are the places of those that may have the query's
    core, all by default. None where all contradict the query.
    """
    same = _find_same(query, candidates, range(len(candidates)) if alike is None else alike)
    place, found = _most_similar(query, candidates) if same is None else (same, candidates[same][1])
    if found <= CONTRADICTION_SCORE:
        return None
    others = [candidate for at, candidate in enumerate(candidates) if at != place]
    sure = found - _margin_penalty(found, (cosine for _, cosine in others), NEIGHBOUR_MARGIN)
    chosen = candidates[place][0]
    if same is not None:
        return QuestionMatch(place, sure, found)
    if not _has_same_wording(query, chosen):
        return QuestionMatch(place, sure, sure)
    near = ((question, cosine) for question, cosine in others if cosine > found - RIVAL_MARGIN)
    rivals = (similarity(query, question, cosine) for question, cosine in near)
    return QuestionMatch(place, sure, found - _margin_penalty(found, rivals, RIVAL_MARGIN))


def _find_same(
    query: str, candidates: Sequence[tuple[str, float]], places: Iterable[int]
) -> int | None:
    return next((at for at in places if is_same_question(query, candidates[at][0])), None)


def _most_similar(query: str, candidates: Sequence[tuple[str, float]]) -> tuple[int, float]:
    """Return the most similar candidate; none of them is the question itself."""
    best, most = 0, CONTRADICTION_SCORE
    for place, (question, cosine) in enumerate(candidates):
        if cosine <= most:
            break  # likeness is at most the cosine: nobody from here on is more like it
        found = _similarity_by_words(query, question, cosine)
        if found > most:
            best, most = place, found
    return best, most


def _margin_penalty(found: float, rivals: Iterable[float], within: float) -> float:
    return max(0.0, max(rivals, default=CONTRADICTION_SCORE) + within - found)


def _has_same_wording(one: str, other: str) -> bool:
    """Return True for nearly equal wording."""
    return canonicalize_loosely(one) == canonicalize_loosely(other)


def _is_contradiction(one: QuestionFeatures, other: QuestionFeatures) -> bool:
    return (
        one.numbers != other.numbers
        or one.times != other.times
        or one.comparisons != other.comparisons
        or one.is_negated != other.is_negated
        or _has_different_ask(one, other)
        or _has_different_names(one, other)
        or _has_opposites(one.stems - other.stems, other.stems - one.stems)
        or _is_reversed(one, other)
    )


def _unshared_weight(one: QuestionFeatures, other: QuestionFeatures) -> float:
    """Return the weighted share of words that only one of the two has."""
    first, second = one.content, other.content
    total = sum(first.values()) + sum(second.values())
    apart = sum(weight for word, weight in first.items() if word not in second)
    apart += sum(weight for word, weight in second.items() if word not in first)
    return apart / total if total else 0.0


def _has_different_ask(one: QuestionFeatures, other: QuestionFeatures) -> bool:
    first, second = one.ask_types & _SPECIFIC_ASKS, other.ask_types & _SPECIFIC_ASKS
    return bool(first and second and not first & second)


def _has_different_names(one: QuestionFeatures, other: QuestionFeatures) -> bool:
    """Return True when each has a name that the other lacks."""
    mine = any(name not in other.stems for name in one.names)
    return mine and any(name not in one.stems for name in other.names)


def _has_opposites(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    if any(pair & mine and pair & theirs and not pair <= mine for pair in _OPPOSITES):
        return True
    return _has_negated_word(mine, theirs) or _has_negated_word(theirs, mine)


def _has_negated_word(mine: Iterable[str], theirs: frozenset[str]) -> bool:
    return any(prefix + word in theirs for word in mine for prefix in _NEGATING_PREFIXES)


def _is_reversed(one: QuestionFeatures, other: QuestionFeatures) -> bool:
    """Return True when shared words have another order that changes subject and object."""
    common = set(one.content_order) & set(other.content_order)
    first = [word for word in dict.fromkeys(one.content_order) if word in common]
    second = [word for word in dict.fromkeys(other.content_order) if word in common]
    if first == second:
        return False
    places = {word: place for place, word in enumerate(second)}
    named = [places[word] for word in first if word in one.names or word in other.names]
    swapped_names = any(left > right for left, right in pairwise(named))
    return swapped_names or bool(
        (one.prepositions | other.prepositions) - {"for", "with", "between"}
    )
