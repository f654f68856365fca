"""Values of the catalogue's stores in a question: what may be one, by how it is written.

"go" is rarely a song and "US" is rarely a pronoun: capitals, quotes, and a kind's name beside a word
decide where the word alone does not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from router.catalog.identifiers import singular
from router.catalog.values import ValueEntry, ValueIndex
from router.catalog.vocabulary import Vocabulary
from router.question.language.grammar import FUNCTION_WORDS, LIGHT_WORDS, NEGATIONS, superlative
from router.question.language.numbers import is_spelled
from router.question.language.tokens import QuestionToken


@dataclass(frozen=True, slots=True)
class ValueMention:
    """A phrase that columns hold; ``start <= place < end``."""

    start: int
    end: int
    entries: tuple[ValueEntry, ...]
    negated: bool = False
    corrected: str = ""


def ngrams(
    tokens: Sequence[QuestionToken], busy: frozenset[int] | set[int], longest: int
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield phrases of free word tokens, longest first; signs inside are passed over."""
    words = [place for place, token in enumerate(tokens) if token.is_word]
    for size in range(min(longest, len(words)), 0, -1):
        for first in range(len(words) - size + 1):
            chosen = words[first : first + size]
            if chosen[-1] - chosen[0] > size + 2 or any(place in busy for place in chosen):
                continue
            yield chosen[0], chosen[-1] + 1, [tokens[place].folded for place in chosen]


def find_values(
    tokens: Sequence[QuestionToken],
    busy: frozenset[int],
    vocabulary: Vocabulary,
    values: ValueIndex,
) -> list[ValueMention]:
    used_places, mentions = set[int](), list[ValueMention]()
    for start, end, words in ngrams(tokens, frozenset(), values.words_max):
        if any(place in used_places for place in range(start, end)):
            continue
        busy_here = any(place in busy for place in range(start, end))
        if busy_here and not _may_hold_number(tokens, start, end, vocabulary):
            continue
        entries, corrected = _entries(tokens, (start, end), words, (values, vocabulary))
        weighed = _weigh(tokens, (start, end), words, (entries, vocabulary))
        if weighed:
            mentions.append(ValueMention(start, end, tuple(weighed), corrected=corrected or ""))
            used_places |= set(range(start, end))
    return mentions


def _may_hold_number(
    tokens: Sequence[QuestionToken], start: int, end: int, vocabulary: Vocabulary
) -> bool:
    """Return True for "Apollo 13", "srv-03", and "postal code 12209"."""
    if end - start == 1:
        return any(True for _ in _columns_before(tokens, start, vocabulary))
    numeric = all(token.text[:1].isdigit() or not token.is_word for token in tokens[start:end])
    if numeric and _is_joined(tokens[start:end]):
        return any(True for _ in _columns_before(tokens, start, vocabulary))  # "scale 1:700"
    return _names(tokens, start, end) or _is_code(tokens[start:end])


def _columns_before(
    tokens: Sequence[QuestionToken], start: int, vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    """Yield the kinds and columns whose name is right before a value."""
    while start and tokens[start - 1].folded in _BETWEEN:
        start -= 1
    for size in (1, 2, 3):
        words = [token.folded for token in tokens[max(start - size, 0) : start]]
        for term in vocabulary.find(words) if len(words) == size else ():
            if term.sort == "column" and term.weight >= BESIDE_MIN:
                yield term.kind, term.column


def _is_code(inside: Sequence[QuestionToken]) -> bool:
    """Return True for tokens with a letter and without a blank between them."""
    letters = any(token.text[:1].isalpha() for token in inside)
    return letters and _is_joined(inside)


def _is_joined(inside: Sequence[QuestionToken]) -> bool:
    return all(left.start + len(left.text) == right.start for left, right in pairwise(inside))


_BETWEEN = frozenset(("is", "=", "no", "number", "#", "."))
BESIDE_MIN = 0.75
"""Sureness of a column's words from which a bare number behind them is its value."""


def _names(tokens: Sequence[QuestionToken], start: int, end: int) -> bool:
    """Return True where a phrase with a number in it is written as a name: "Apollo 13"."""
    words = [token for token in tokens[start:end] if token.text[:1].isalpha()]
    return (
        bool(words)
        and all(token.capital or token.quoted or token.folded in FUNCTION_WORDS for token in words)
        and any(token.capital and token.folded not in FUNCTION_WORDS for token in words)
    )


def _entries(
    tokens: Sequence[QuestionToken],
    place: tuple[int, int],
    words: list[str],
    known: tuple[ValueIndex, Vocabulary],
) -> tuple[Sequence[ValueEntry], str | None]:
    values = known[0]
    inside = tokens[place[0] : place[1]]
    entries = values.find(" ".join(words))
    if all(entry.weight <= PART_MAX or entry.name for entry in entries):
        entries = [*_inflected_categories(words, known), *entries]  # "plane" is more than a name
    if not entries and len(words) > 1 and _is_joined(inside):
        entries = values.find("".join(words))  # "2024W"
    return (entries, None) if entries else _correct_spelling(inside, words, known)


def _correct_spelling(
    inside: Sequence[QuestionToken], words: list[str], known: tuple[ValueIndex, Vocabulary]
) -> tuple[Sequence[ValueEntry], str | None]:
    """Return the values that one misspelt word hides, and the phrase as it should be."""
    values, vocabulary = known
    unknown = [number for number, word in enumerate(words) if not values.knows(word)]
    if len(unknown) != 1 or words[unknown[0]] in FUNCTION_WORDS:
        return (), None
    if vocabulary.find([words[unknown[0]]]):
        return (), None  # a word of the catalogue is not misspelt
    capital = any(token.capital for token in inside)
    if len(words) == 1 and not (capital and len(words[0]) > len("word")):
        return (), None
    for correction in values.corrections(words[unknown[0]]):
        phrase = " ".join([*words[: unknown[0]], correction, *words[unknown[0] + 1 :]])
        entries = values.find(phrase)
        if entries:
            return [replace(each, weight=each.weight * 0.8) for each in entries], phrase
    return (), None


def _inflected_categories(
    words: list[str], known: tuple[ValueIndex, Vocabulary]
) -> Iterator[ValueEntry]:
    """Yield the categories that words name in another form: "nurses" for ``nurse``."""
    values, vocabulary = known
    last = words[-1]
    forms = {singular(last), base_noun(last), f"{last}s", f"{last}es"} - {last}
    if len(words) == 1 and last not in FUNCTION_WORDS:
        forms |= set(values.forms(last, vocabulary.lemma))
    for form in sorted(forms):
        for entry in values.find(" ".join([*words[:-1], form])):
            if entry.category and not form.isdigit():
                yield replace(entry, weight=entry.weight * INFLECTED, inflected=True)


INFLECTED = 0.95
"""Factor of a value in the other grammatical number."""


def base_noun(word: str) -> str:
    """Return "person" for "persons" where ``singular`` keeps a sibilant: "boxes", "churches"."""
    return word.removesuffix("es") if word.endswith("es") else word


def _weigh(
    tokens: Sequence[QuestionToken],
    place: tuple[int, int],
    words: list[str],
    known: tuple[Sequence[ValueEntry], Vocabulary],
) -> list[ValueEntry]:
    """Return the entries that the way of writing allows, with their weights."""
    inside = tokens[place[0] : place[1]]
    if not known[0] or all(token.quoted for token in inside):
        return list(known[0])
    if words[0].isdigit() and len(words) == 1:
        columns_before = set(_columns_before(tokens, place[0], known[1]))
        return [
            entry for entry in known[0] if (entry.kind, entry.conditions[0][0]) in columns_before
        ]
    return _weigh_words(tokens, place, words, known)


def _weigh_words(
    tokens: Sequence[QuestionToken],
    place: tuple[int, int],
    words: list[str],
    known: tuple[Sequence[ValueEntry], Vocabulary],
) -> list[ValueEntry]:
    """Weigh what words other than a number may mean."""
    entries, vocabulary = known
    inside = tokens[place[0] : place[1]]
    entries = [entry for entry in entries if not _is_pronoun(inside, entry)]
    content = [word for word in words if word not in FUNCTION_WORDS and word not in LIGHT_WORDS]
    capital = sum(token.capital for token in inside[place[0] == 0 :])
    shouted = len(words) == 1 and inside[0].text.isupper() and len(inside[0].text) > 1
    if not content:
        light = len(words) > 1 and any(word not in FUNCTION_WORDS for word in words)
        if light and (states := [entry for entry in entries if entry.category]):
            return states  # "on hold"
        is_capitalized = len(words) > 1 and capital >= len(words) - 1
        exact = [entry for entry in entries if capital and _is_written(entry, inside)]
        return list(entries) if shouted or is_capitalized else exact
    if len(words) > 1:
        common = not capital and any(not entry.category for entry in entries)
        factor = 0.8 if common and len(content) == 1 else 1.0
        return [replace(entry, weight=entry.weight * factor) for entry in entries]
    beside = tokens[place[0] - 1].folded if place[0] else ""
    if beside in ("called", "named", "titled") or capital or shouted:
        return list(entries)
    entries = [entry for entry in entries if entry.weight > PART_MAX]
    return _single(inside[0], entries, vocabulary, beside)


def _is_pronoun(inside: Sequence[QuestionToken], entry: ValueEntry) -> bool:
    """Return True for "it support", which is not the department "IT Support"."""
    written = {word for _, value in entry.conditions for word in value.split()}
    return any(
        token.folded in FUNCTION_WORDS and token.text.islower() and token.text.upper() in written
        for token in inside
    )


PART_MAX = 0.75
"""Weight of a part of a name, which must be in capitals: "Jabba"."""


def _is_written(entry: ValueEntry, inside: Sequence[QuestionToken]) -> bool:
    """Return True where a category is written exactly so: "Go" the language, not the verb."""
    return entry.category and " ".join(token.text for token in inside) == entry.conditions[0][1]


def _single(
    token: QuestionToken, entries: Sequence[ValueEntry], vocabulary: Vocabulary, beside: str
) -> list[ValueEntry]:
    """Return the meanings of one lower-case word: categories, or a title that a kind's name allows."""
    word = token.folded
    if word.isdigit() or is_spelled(word) or word in NEGATIONS or superlative(word) is not None:
        return []
    terms = vocabulary.find([word])
    exact = any(term.exact for term in terms)
    holding = {(entry.kind, column) for entry in entries for column, _ in entry.conditions}
    if any(term.exact and term.sort == "kind" for term in terms) and not any(
        term.sort == "column" and (term.kind, term.column) in holding
        for term in vocabulary.find([beside])
    ):
        return []  # "staff" names the table, not a level of engineers
    done = any(term.exact and term.sort == "link" for term in terms)
    categories = [
        entry
        for entry in entries
        if entry.category
        and not (exact and entry.name)
        and not (entry.inflected and (done or _is_finite(word, entry)))
    ]  # "run" is what machines do, not that they are "running"
    return categories or (
        [] if exact else list(_titles_behind_kind(token, entries, vocabulary, beside))
    )


def _is_finite(word: str, entry: ValueEntry) -> bool:
    """Return True for "play" where the value is "played": a verb states no past."""
    value = entry.conditions[0][1].casefold()
    return value.endswith("ed") and value[:-2].startswith(word.removesuffix("s").removesuffix("e"))


def _titles_behind_kind(
    token: QuestionToken, entries: Sequence[ValueEntry], vocabulary: Vocabulary, beside: str
) -> Iterator[ValueEntry]:
    """Yield the titles that a kind's name right before allows: "the track rehab"."""
    kinds = (
        {term.kind for term in vocabulary.find([beside]) if term.sort == "kind"}
        if beside
        else set()
    )
    alone = token.start == 0
    return (entry for entry in entries if entry.kind in kinds or alone)
