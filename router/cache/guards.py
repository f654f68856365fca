"""Are two questions the same? Nearness of vectors alone can't tell.

"Flights from A to B" and its reversal have a cosine of 0.99. So likeness starts from the cosine and
loses: everything where the two contradict each other (numbers, dates, negation, names, direction),
and some for each word that only one of them has. Identically meant questions keep their cosine, so
at a threshold of 0.95 nothing else passes. A missed hit costs milliseconds, a wrong one an answer.
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
RIVAL_WITHIN = 0.2
"""A rival is another, different question of nearly the same likeness: one of the two is wrong."""
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
    """The place of the candidate in the list given, and its likeness (at most its cosine)."""

    place: int
    likeness: float


def likeness(one: str, other: str, cosine: float) -> float:
    """The cosine, less what their words differ by; ``CONTRADICTION`` when they can't be the same."""
    if same_question(one, other):
        return cosine
    first, second = wording(one), wording(other)
    if _contradict(first, second):
        return CONTRADICTION
    if nearly(one) == nearly(other):
        return cosine
    return cosine - DIFFERENT - UNLIKE * _unlike(first, second)


def same_question(one: str, other: str) -> bool:
    """True only when the two certainly ask for the same."""
    return core(one) == core(other)


def best_match(query: str, candidates: Sequence[tuple[str, float]]) -> Match | None:
    """The candidate (question, cosine), nearest first, most like ``query``, less its rival.

    The same question has no rivals.
    """
    for place, (question, cosine) in enumerate(candidates):
        if same_question(query, question):
            return Match(place, cosine)
    judged: list[Match] = []
    for place, (question, cosine) in enumerate(candidates):
        # Likeness is at most the cosine: from here on nobody is the best, nor a rival of it.
        if judged and cosine < max(m.likeness for m in judged) - RIVAL_WITHIN:
            break
        judged.append(Match(place, likeness(query, question, cosine)))
    best = max(judged, key=lambda match: match.likeness, default=None)
    if best is None or best.likeness <= CONTRADICTION:
        return None
    chosen = candidates[best.place][0]
    rivals = (
        match.likeness
        for match in judged
        if match is not best and not same_question(chosen, candidates[match.place][0])
    )
    lead = best.likeness - max(rivals, default=CONTRADICTION)
    return Match(best.place, best.likeness - max(0.0, RIVAL_WITHIN - lead))


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
