"""Reach of a negation: the phrase behind it, or a column in front of "we do not know"."""

from collections.abc import Mapping, Sequence

from router.question.language.grammar import NEGATIONS, PREPOSITIONS
from router.question.language.term_mentions import TermMention
from router.question.language.tokens import QuestionToken
from router.question.language.value_mentions import ValueMention

NON_REACH = 2
"""Tokens that "non" and a hyphen deny: "non-smokers in Oslo" are in Oslo."""


def is_negated(
    tokens: Sequence[QuestionToken], start: int, values: Mapping[int, ValueMention]
) -> bool:
    """Return True where a negation governs the phrase that begins at ``start``."""
    place, far = start - 1, start - 6
    while place >= max(far, 0):
        word = tokens[place].folded
        hyphen = tokens[place + 1].folded == "-"
        if word == "non" and start - place > (NON_REACH if hyphen else 1):
            return False
        if word in NEGATIONS or (
            word == "than" and tokens[place - 1].folded in ("other", "rather")
        ):
            return not (word == "no" and tokens[place + 1].folded in ("more", "less", "later"))
        if word in (";", "?", "but", "and", "who", "which", "that"):
            return False
        if word == "," and tokens[place + 1].folded in PREPOSITIONS:
            return False  # "not discharged, in the ER"
        ended = values.get(place)
        if ended is not None:
            joined = tokens[ended.end].folded in ("or", "nor", ",") if ended.end < start else False
            return joined and is_negated(tokens, ended.start, values)
        place -= 1
    return False


def is_unknown(tokens: Sequence[QuestionToken], end: int) -> bool:
    """Return True for "whose birthday we do not know" and "whose email is missing"."""
    words = [token.folded for token in tokens[end : end + 5]]
    while words and words[0] in _SAYING:
        words = words[1:]
    if words[:1] == ["not"]:
        return words[1:2] != [] and words[1] in _GIVEN
    return words[:1] != [] and words[0] in _ABSENT


def is_void(tokens: Sequence[QuestionToken], end: int) -> bool:
    """Return True for "who owns nothing" and "that apply to nobody": a verb without an object."""
    words = [token.folded for token in tokens[end : end + 2]]
    if words[:1] != [] and words[0] in PREPOSITIONS:
        words = words[1:]
    return words[:1] != [] and words[0] in ("nothing", "nobody", "none")


_SAYING = frozenset(("we", "i", "they", "do", "does", "is", "are", "was", "were", "has", "been"))
_GIVEN = frozenset(("know", "known", "given", "recorded", "specified", "available"))
_ABSENT = frozenset(("unknown", "missing", "unspecified"))


def is_screened(
    tokens: Sequence[QuestionToken],
    value: ValueMention,
    terms: Sequence[TermMention],
    places: Mapping[int, ValueMention],
) -> bool:
    """Return True where a negation governs a column in front: "without a state in Italy".

    A preposition parts the two, and the column differs from the value's own.
    """
    columns = {(each.kind, column) for each in value.entries for column, _ in each.conditions}
    for mention in terms:
        between = [token.folded for token in tokens[mention.end : value.start]]
        own = [term for term in mention.of("column") if not term.link]
        exact = any(term.exact for term in own)
        named = {(term.kind, term.column) for term in own if term.exact or not exact}
        kinds = any(term.exact for term in mention.of("kind"))
        parted = bool(between) and {between[0], between[-1]} & PREPOSITIONS != set()
        parted = parted and len(between) <= SCREEN_GAP
        apart = parted and named and not kinds and not named & columns
        if apart and is_negated(tokens, mention.start, places):
            return True
    return False


SCREEN_GAP = 3
