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
    frozenset(map(stem, opposites.split()))
    for opposites in split_words(
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

    ``threshold_max`` is the highest threshold at which it is an answer, above the similarity when words decide.
    """

    index: int
    similarity: float
    threshold_max: float


def similarity(question: str, candidate: str, cosine: float) -> float:
    """Return the cosine minus the difference of words; ``CONTRADICTION`` for different questions."""
    return (
        cosine
        if is_same_question(question, candidate)
        else _similarity_by_words(question, candidate, cosine)
    )


def _similarity_by_words(one: str, other: str, cosine: float) -> float:
    first, second = extract_features(one), extract_features(other)
    if _is_contradiction(first, second):
        return CONTRADICTION_SCORE
    if _has_same_wording(one, other):
        return cosine
    return cosine - DIFFERENCE_PENALTY - UNSHARED_WORDS_PENALTY * _unshared_weight(first, second)


def is_same_question(question: str, candidate: str) -> bool:
    """Return True only when both certainly ask for the same."""
    return canonicalize(question) == canonicalize(candidate)


def best_match(
    query: str, candidates: Sequence[tuple[str, float]], alike: Collection[int] | None = None
) -> QuestionMatch | None:
    """Return the best of the candidates (question, cosine; nearest first), reduced by its rivals.

    Candidates are of different cores. ``alike`` are the places of those that may have the query's
    core, all by default. None where all contradict the query.
    """
    same = _find_same(query, candidates, range(len(candidates)) if alike is None else alike)
    place, score = _most_similar(query, candidates) if same is None else (same, candidates[same][1])
    if score <= CONTRADICTION_SCORE:
        return None
    other_candidates = [candidate for at, candidate in enumerate(candidates) if at != place]
    sure = score - _margin_penalty(
        score, (cosine for _, cosine in other_candidates), NEIGHBOUR_MARGIN
    )
    matched_question = candidates[place][0]
    if same is not None:
        return QuestionMatch(place, sure, score)
    if not _has_same_wording(query, matched_question):
        return QuestionMatch(place, sure, sure)
    near_candidates = (
        (question, cosine) for question, cosine in other_candidates if cosine > score - RIVAL_MARGIN
    )
    rivals = (similarity(query, question, cosine) for question, cosine in near_candidates)
    return QuestionMatch(place, sure, score - _margin_penalty(score, rivals, RIVAL_MARGIN))


def _find_same(
    query: str, candidates: Sequence[tuple[str, float]], places: Iterable[int]
) -> int | None:
    return next((at for at in places if is_same_question(query, candidates[at][0])), None)


def _most_similar(query: str, candidates: Sequence[tuple[str, float]]) -> tuple[int, float]:
    """Return the most similar candidate; none of them is the question itself."""
    best, best_score = 0, CONTRADICTION_SCORE
    for place, (question, cosine) in enumerate(candidates):
        if cosine <= best_score:
            break  # likeness is at most the cosine: nobody from here on is more like it
        score = _similarity_by_words(query, question, cosine)
        if score > best_score:
            best, best_score = place, score
    return best, best_score


def _margin_penalty(score: float, rivals: Iterable[float], within: float) -> float:
    return max(0.0, max(rivals, default=CONTRADICTION_SCORE) + within - score)


def _has_same_wording(question: str, candidate: str) -> bool:
    """Return True for nearly equal wording."""
    return canonicalize_loosely(question) == canonicalize_loosely(candidate)


def _is_contradiction(question: QuestionFeatures, candidate: QuestionFeatures) -> bool:
    return (
        question.numbers != candidate.numbers
        or question.times != candidate.times
        or question.comparisons != candidate.comparisons
        or question.is_negated != candidate.is_negated
        or _has_different_ask(question, candidate)
        or _has_different_names(question, candidate)
        or _has_opposites(question.stems - candidate.stems, candidate.stems - question.stems)
        or _is_reversed(question, candidate)
    )


def _unshared_weight(question: QuestionFeatures, candidate: QuestionFeatures) -> float:
    """Return the weighted share of words that only one of the two has."""
    first, second = question.content, candidate.content
    total = sum(first.values()) + sum(second.values())
    unshared = sum(weight for word, weight in first.items() if word not in second)
    unshared += sum(weight for word, weight in second.items() if word not in first)
    return unshared / total if total else 0.0


def _has_different_ask(question: QuestionFeatures, candidate: QuestionFeatures) -> bool:
    first, second = question.ask_types & _SPECIFIC_ASKS, candidate.ask_types & _SPECIFIC_ASKS
    return bool(first and second and not first & second)


def _has_different_names(question: QuestionFeatures, candidate: QuestionFeatures) -> bool:
    """Return True when each has a name that the other lacks."""
    has_own_name = any(name not in candidate.stems for name in question.names)
    return has_own_name and any(name not in question.stems for name in candidate.names)


def _has_opposites(question_words: frozenset[str], candidate_words: frozenset[str]) -> bool:
    if any(
        opposites & question_words
        and opposites & candidate_words
        and not opposites <= question_words
        for opposites in _OPPOSITES
    ):
        return True
    return _has_negated_word(question_words, candidate_words) or _has_negated_word(
        candidate_words, question_words
    )


def _has_negated_word(words: Iterable[str], negated_words: frozenset[str]) -> bool:
    return any(prefix + word in negated_words for word in words for prefix in _NEGATING_PREFIXES)


def _is_reversed(question: QuestionFeatures, candidate: QuestionFeatures) -> bool:
    """Return True when shared words have another order that changes subject and object."""
    common = set(question.content_order) & set(candidate.content_order)
    first = [word for word in dict.fromkeys(question.content_order) if word in common]
    second = [word for word in dict.fromkeys(candidate.content_order) if word in common]
    if first == second:
        return False
    places = {word: place for place, word in enumerate(second)}
    name_places = [
        places[word] for word in first if word in question.names or word in candidate.names
    ]
    swapped_names = any(left > right for left, right in pairwise(name_places))
    return swapped_names or bool(
        (question.prepositions | candidate.prepositions) - {"for", "with", "between"}
    )
