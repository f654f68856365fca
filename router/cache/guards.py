"""Are two questions the same? Nearness of vectors alone can't tell.

"Flights from A to B" and its reversal have a cosine of 0.99. So likeness starts from the cosine and
loses: everything where the two contradict each other (numbers, dates, negation, names, direction),
some for each word that only one of them has, and some for other stored questions that are about as near:
where questions lie that close, nearness can't tell them apart. Where the words agree they decide, so at a
threshold of 0.95 nothing else passes. A missed hit costs milliseconds, a wrong one an answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from router.backends.words import stem
from router.cache.core import core, nearly
from router.cache.wording import Wording, listed, wording

DIFFERENT = 0.06
"""What any difference that may matter costs at least: at 0.95 nothing with one passes."""
UNLIKE = 0.2
"""What it costs on top when the two share no word at all; in between by weight of the words."""
CROWD_WITHIN = 0.3
"""The nearer another stored question is, whatever its words, the less sure is the one that was chosen."""
RIVAL_WITHIN = 0.2
"""Where the words agree, only another question with nearly the same words is in the way."""
CONTRADICTION = -1.0

_OPPOSITES = tuple(
    frozenset(map(stem, pair.split()))
    for pair in listed(
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
_PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "de")
_SPECIFIC = frozenset({"who", "when", "where", "count", "duration", "often", "why"})


@dataclass(frozen=True, slots=True)
class Match:
    """The place of the candidate in the list given, and how sure it is: its likeness, at most its cosine.

    ``passes``: the highest threshold at which it is an answer; above its likeness where its words decide.
    """

    place: int
    likeness: float
    passes: float


def likeness(one: str, other: str, cosine: float) -> float:
    """The cosine, less what their words differ by; ``CONTRADICTION`` when they can't be the same."""
    if same_question(one, other):
        return cosine
    first, second = wording(one), wording(other)
    if _contradict(first, second):
        return CONTRADICTION
    if _agree(one, other):
        return cosine
    return cosine - DIFFERENT - UNLIKE * _unlike(first, second)


def same_question(one: str, other: str) -> bool:
    """True only when the two certainly ask for the same."""
    return core(one) == core(other)


def best_match(query: str, candidates: Sequence[tuple[str, float]]) -> Match | None:
    """The candidate (question, cosine), nearest first, most like ``query``, less what others cast on it.

    Candidates are of different cores. None where all contradict the query.
    """
    place, found = _most_like(query, candidates)
    if found <= CONTRADICTION:
        return None
    others = [one for at, one in enumerate(candidates) if at != place]
    sure = found - _overlap(found, (cosine for _, cosine in others), CROWD_WITHIN)
    chosen = candidates[place][0]
    if same_question(query, chosen):
        return Match(place, sure, found)
    if not _agree(query, chosen):
        return Match(place, sure, sure)
    near = ((question, cosine) for question, cosine in others if cosine > found - RIVAL_WITHIN)
    rivals = (likeness(query, question, cosine) for question, cosine in near)
    return Match(place, sure, found - _overlap(found, rivals, RIVAL_WITHIN))


def _most_like(query: str, candidates: Sequence[tuple[str, float]]) -> tuple[int, float]:
    """The question itself if it is there."""
    for place, (question, cosine) in enumerate(candidates):
        if same_question(query, question):
            return place, cosine
    best, most = 0, CONTRADICTION
    for place, (question, cosine) in enumerate(candidates):
        if cosine <= most:
            break  # likeness is at most the cosine: nobody from here on is more like it
        found = likeness(query, question, cosine)
        if found > most:
            best, most = place, found
    return best, most


def _overlap(found: float, rivals: Iterable[float], within: float) -> float:
    return max(0.0, max(rivals, default=CONTRADICTION) + within - found)


def _agree(one: str, other: str) -> bool:
    """Their words, though not certainly."""
    return nearly(one) == nearly(other)


def _contradict(one: Wording, other: Wording) -> bool:
    return (
        one.numbers != other.numbers
        or one.times != other.times
        or one.comparisons != other.comparisons
        or bool(one.negations) != bool(other.negations)
        or _other_ask(one, other)
        or _other_names(one, other)
        or _opposed(one.stems - other.stems, other.stems - one.stems)
        or _reversed(one, other)
    )


def _unlike(one: Wording, other: Wording) -> float:
    """The share of the words, by weight, that only one of the two has."""
    first, second = one.content, other.content
    total = sum(first.values()) + sum(second.values())
    apart = sum(weight for word, weight in first.items() if word not in second)
    apart += sum(weight for word, weight in second.items() if word not in first)
    return apart / total if total else 0.0


def _other_ask(one: Wording, other: Wording) -> bool:
    first, second = one.asks & _SPECIFIC, other.asks & _SPECIFIC
    return bool(first and second and not first & second)


def _other_names(one: Wording, other: Wording) -> bool:
    """Each names something that the other does not mention."""
    mine = any(name not in other.stems for name in one.names)
    return mine and any(name not in one.stems for name in other.names)


def _opposed(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    if any(pair & mine and pair & theirs and not pair <= mine for pair in _OPPOSITES):
        return True
    return _negated(mine, theirs) or _negated(theirs, mine)


def _negated(mine: Iterable[str], theirs: frozenset[str]) -> bool:
    return any(prefix + word in theirs for word in mine for prefix in _PREFIXES)


def _reversed(one: Wording, other: Wording) -> bool:
    """What both mention stands in another order, and the order says who does what to whom."""
    common = set(one.order) & set(other.order)
    first = [word for word in dict.fromkeys(one.order) if word in common]
    second = [word for word in dict.fromkeys(other.order) if word in common]
    if first == second:
        return False
    places = {word: place for place, word in enumerate(second)}
    named = [places[word] for word in first if word in one.names or word in other.names]
    swapped_names = any(left > right for left, right in pairwise(named))
    return swapped_names or bool({*one.directions, *other.directions} - {"for", "with", "between"})
