"""Mentions: words of a question that may refer to values, kinds, columns, links, numbers, times.

Longer phrases win over shorter ones, names over near words. Every mention keeps the places of its
tokens, so that whatever stays without a mention can be named.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from router.catalog.values import ValueIndex
from router.catalog.vocabulary import Term, Vocabulary
from router.question.language.comparisons import Comparison, comparisons_of
from router.question.language.dates import DaySpan, date_ranges
from router.question.language.negation import is_negated, is_screened, is_unknown, is_void
from router.question.language.term_mentions import TermMention, find_terms
from router.question.language.tokens import QuestionToken, tokens_of
from router.question.language.value_mentions import ValueMention, find_values


@dataclass(frozen=True, slots=True)
class DateMention:
    """A time, with its token places."""

    start: int
    end: int
    range: DaySpan
    negated: bool = False


@dataclass(frozen=True)
class Mentions:
    """A question taken apart."""

    text: str
    tokens: tuple[QuestionToken, ...]
    values: tuple[ValueMention, ...]
    terms: tuple[TermMention, ...]
    dates: tuple[DateMention, ...]
    comparisons: tuple[Comparison, ...]

    @cached_property
    def links(self) -> Mapping[str, tuple[TermMention, float]]:
        """The links that words name, each with its surest words; a kind's own name does not."""
        best: dict[str, tuple[TermMention, float]] = {}
        for mention in self.terms:
            kinds = any(term.sort == "kind" and term.exact for term in mention.terms)
            exact = any(term.exact for term in mention.terms)
            kind_weight = max((kind_term.weight for kind_term in mention.of("kind")), default=0.0)
            for term in mention.terms:
                names_link = term.sort in ("link", "role") and not term.column and not kinds
                names_link = names_link and (term.exact or term.sort == "role" or not exact)
                names_link = names_link and term.weight >= kind_weight
                names_link = names_link and (term.exact or not _leads_to_named(mention, term))
                if names_link and term.weight > best.get(term.link, (mention, 0.0))[1]:
                    best[term.link] = mention, term.weight
        return best

    def words(self, start: int, end: int) -> str:
        """Return the words of ``start <= place < end`` as written."""
        return " ".join(token.text for token in self.tokens[max(start, 0) : end])


def find_mentions(
    question: str, vocabulary: Vocabulary, values: ValueIndex, today: date
) -> Mentions:
    """Take a question apart."""
    tokens = tokens_of(_negations_apart(question, vocabulary, values))
    dates, numbers = _quantities(tokens, today)
    spans = [(each.start, each.end) for each in dates] + [
        (each.start, each.end) for each in numbers
    ]
    busy = frozenset(place for start, end in spans for place in range(start, end))
    matches = find_values(tokens, busy, vocabulary, values)
    dates = [each for each in dates if not any(_holds(value, each) for value in matches)]
    matches = [
        each
        for each in matches
        if not _is_time_column(each, tokens, dates, vocabulary)
        and not _is_measured(each, tokens, numbers, vocabulary)
    ]
    named = {each.start for each in matches if _is_column_name(each, tokens, vocabulary)}
    covered = busy | {place for each in matches for place in range(each.start, each.end)} - named
    units = frozenset(place for each in numbers for place in range(each.start, each.end))
    terms = find_terms(tokens, covered - units, vocabulary)
    matches, terms = _settle_readings(tokens, matches, terms)
    places = by_place(matches)
    denied = {each for each in matches if is_negated(tokens, each.start, places)}
    return Mentions(
        question,
        tokens,
        tuple(
            replace(each, negated=each in denied and not is_screened(tokens, each, terms, places))
            for each in matches
        ),
        tuple(
            replace(
                each,
                negated=is_negated(tokens, each.start, places)
                or is_unknown(tokens, each.end)
                or is_void(tokens, each.end),
            )
            for each in terms
        ),
        tuple(
            replace(
                each,
                negated=is_negated(tokens, each.start, places) and not _is_pending(tokens, each),
            )
            for each in dates
        ),
        tuple(numbers),
    )


def _is_time_column(
    value: ValueMention,
    tokens: Sequence[QuestionToken],
    dates: Sequence[DateMention],
    vocabulary: Vocabulary,
) -> bool:
    """Return True where a state names a time instead: "shipped in May", "not shipped yet"."""
    dated = any(0 <= each.start - value.end <= 1 for each in dates)
    denied = is_negated(tokens, value.start, {}) and value.start + 1 == value.end
    if not dated and not denied:
        return False
    kinds = {entry.kind for entry in value.entries}
    words = [token.folded for token in tokens[value.start : value.end]]
    return any(
        (term.kind, term.column) in vocabulary.temporal
        and term.kind in kinds
        and term.weight >= TIME_NAMED_MIN
        for term in vocabulary.find(words)
        if term.sort == "column"
    )


TIME_NAMED_MIN = 0.7


def _is_measured(
    value: ValueMention,
    tokens: Sequence[QuestionToken],
    numbers: Sequence[Comparison],
    vocabulary: Vocabulary,
) -> bool:
    """Return True for what a number counts in a column: "over 500 attackers"."""
    if not any(number.end == value.start and number.marked for number in numbers):
        return False
    kinds = {entry.kind for entry in value.entries}
    words = [token.folded for token in tokens[value.start : value.end]]
    return any(t.sort == "column" and t.kind in kinds for t in vocabulary.find(words))


def _is_pending(tokens: Sequence[QuestionToken], date: DateMention) -> bool:
    """Return True for "not shipped yet from May": what did not happen yet has no date."""
    return any(token.folded == "yet" for token in tokens[max(date.start - 3, 0) : date.start])


def _is_column_name(
    value: ValueMention, tokens: Sequence[QuestionToken], vocabulary: Vocabulary
) -> bool:
    """Return True for a word that is a column's own name in another kind: "active"."""
    if value.end - value.start != 1:
        return False
    kinds = {entry.kind for entry in value.entries}
    terms = vocabulary.find([tokens[value.start].folded])
    sorts = ("column", "link") if _is_of(tokens, value.end) else ("column",)
    return any(term.sort in sorts and term.exact and term.kind not in kinds for term in terms)


def _is_of(tokens: Sequence[QuestionToken], end: int) -> bool:
    """Return True for the first words of "curator of the department": what a key leads to."""
    return end < len(tokens) and end == 1 and tokens[end].folded == "of"


def _negations_apart(question: str, vocabulary: Vocabulary, values: ValueIndex) -> str:
    """Write "unpaid" as "non paid" where only "paid" is a value or a column."""

    def apart(match: re.Match[str]) -> str:
        word, rest = match[0].lower(), match["rest"].lower()
        known = values.knows(word) or any(term.exact for term in vocabulary.find([word]))
        category = any(entry.category for entry in values.find(rest))
        column = any(t.sort == "column" and t.weight >= UNDONE_MIN for t in vocabulary.find([rest]))
        return f"non {match['rest']}" if not known and (category or column) else match[0]

    return _UNDONE.sub(apart, question)


_UNDONE = re.compile(r"\b(?:un|in|non)(?P<rest>[a-z]{4,})\b", re.IGNORECASE)
UNDONE_MIN = 0.7


def _quantities(
    tokens: tuple[QuestionToken, ...], today: date
) -> tuple[list[DateMention], list[Comparison]]:
    text, places = _join_tokens(tokens)
    dates = [
        DateMention(*_token_places(places, span.place), span) for span in date_ranges(text, today)
    ]
    everything = comparisons_of(tokens)
    bare = {place for dated in dates if dated.range.bare for place in range(dated.start, dated.end)}
    measured = {
        place
        for number in everything
        if number.marked
        for place in range(number.start, number.end)
        if place in bare
    }
    dates = [dated for dated in dates if dated.start not in measured]
    dated_places = frozenset(place for dated in dates for place in range(dated.start, dated.end))
    return dates, comparisons_of(tokens, dated_places)


def _join_tokens(tokens: Sequence[QuestionToken]) -> tuple[str, list[int]]:
    """Return the tokens as one text, and where each begins in it."""
    text, places = "", []
    for token in tokens:
        places.append(len(text))
        text += f"{token.text} "
    return text, places


def _token_places(places: Sequence[int], span: tuple[int, int]) -> tuple[int, int]:
    inside = [number for number, place in enumerate(places) if span[0] <= place < span[1]]
    return inside[0], inside[-1] + 1


def by_place(values: Iterable[ValueMention]) -> Mapping[int, ValueMention]:
    """Return the value that each token belongs to."""
    return {place: value for value in values for place in range(value.start, value.end)}


def _holds(value: ValueMention, date: DateMention) -> bool:
    """Return True where a value goes on beyond a number in it: "Apollo 13", "2024W"."""
    places = range(value.start, value.end)
    return date.end - 1 in places and value.end - value.start > 1


def _leads_to_named(mention: TermMention, link: Term) -> bool:
    """Return True for a link that words name only as its far end: "rent" for a key of rentals."""
    kinds = {term.kind for term in mention.of("kind") if term.weight >= link.weight}
    return link.link.rpartition(".")[2] in kinds


def _settle_readings(
    tokens: Sequence[QuestionToken], values: list[ValueMention], terms: list[TermMention]
) -> tuple[list[ValueMention], list[TermMention]]:
    """Order the values, and drop lone doubtful ones of a question."""
    del tokens
    return sorted(values, key=lambda value: value.start), terms
