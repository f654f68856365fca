"""Guesses about a kind: which columns are its key, title, text and date, and how sure that is.

They rest on names and statistics. A wrong guess costs a person one line of the file.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from router.catalog.english import EnglishWords
from router.catalog.identifiers import phrase_of, singular, words_of
from router.catalog.model import TEMPORAL, TEXTUAL, TIME_UNITS, Catalog, CatalogColumn, CatalogKind
from router.catalog.word_forms import base_form

_PERSON_NAMES = (
    ("first", "last"),
    ("given", "family"),
    ("fore", "sur"),
    ("first", "sur"),
    ("", "sur"),
)
_TITLE_WORDS = ("name", "title", "label", "subject", "heading", "headline")
_KEY_WORDS = ("id", "uuid", "guid", "key", "code", "slug")
_BOOKKEEPING = frozenset(
    ("updated", "update", "modified", "deleted", "changed", "synced", "imported", "inserted")
)
_LESS_LIKELY = frozenset(
    ("end", "due", "birth", "born", "birthday", "death", "died", "expiry", "expires", "required")
)
LONG_TEXT = 80
"""Mean length in bytes from which a text column is prose."""


DESCRIBED_WORDS_MAX = 4
_TRUE = ("1", "y", "yes", "t", "true")
_FALSE = ("0", "n", "no", "f", "false")


def described_words(comment: str | None) -> tuple[str, ...]:
    """Return a comment that is a name by itself: "patients", and not a sentence."""
    words = (comment or "").rstrip(".").split()
    is_name = 0 < len(words) <= DESCRIBED_WORDS_MAX and all(word.isalpha() for word in words)
    return (" ".join(words).lower(),) if is_name else ()


def is_flag(sampled: Iterable[str]) -> bool:
    """Return True for values that say yes and no only: 1 and 0, Y and N."""
    values = {value.lower() for value in sampled}
    return values in [{yes, no} for yes, no in zip(_TRUE, _FALSE, strict=True)]


def unit_of_text(sampled: Iterable[str]) -> str:
    """Return ``date`` for texts that are all ISO dates, ``flag`` for yes and no, else nothing."""
    values = list(sampled)
    if values and all(_ISO.match(value) for value in values):
        return "date"
    return "flag" if is_flag(values) else ""


_ISO = re.compile(r"\d{4}-[01]\d-[0-3]\d(?:[T ][0-2]\d:|$)")


def flag_value(sampled: Iterable[str]) -> str:
    """Return the value of a flag that means yes."""
    return next((value for value in sampled if value.lower() in _TRUE), "1")


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Facts that a store has of one column: ``width`` in bytes on average, ``unique`` if certain."""

    column: CatalogColumn
    width: float = 0.0
    unique: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Roles:
    """The guessed roles of columns and the certainty of the guess, 0 to 1."""

    key: tuple[str, ...]
    title: tuple[str, ...]
    text: tuple[str, ...]
    date: str | None
    certainty: float


def roles_of(kind: str, key: Sequence[str], facts: Mapping[str, ColumnFacts]) -> Roles:
    """Guess the roles; ``key`` is what the store declares, empty where it declares none."""
    chosen = tuple(key) or _key(kind, facts)
    title = _title(kind, facts, chosen)
    certainty = 1.0 if key else 0.6 if chosen else 0.3
    if not title:
        certainty -= 0.2
    text = tuple(
        name
        for name, fact in facts.items()
        if fact.column.type == "text" and fact.width >= LONG_TEXT and name not in title
    )
    return Roles(chosen, title, text, _date(kind, facts), round(max(certainty, 0.1), 2))


def _key(kind: str, facts: Mapping[str, ColumnFacts]) -> tuple[str, ...]:
    """Return the likeliest unique column: ``customer_id``, then ``name``, then any text."""
    kind_words = {singular(word) for word in words_of(kind)}
    ranked: list[tuple[bool | int, ...]] = []
    names = list(facts)
    for place, (name, fact) in enumerate(facts.items()):
        if not fact.unique or fact.width >= LONG_TEXT:
            continue
        words = words_of(name)
        rest = {singular(word) for word in words[:-1]}
        identifies = words[-1] in _KEY_WORDS
        titles = words[-1] in _TITLE_WORDS
        keyed = identifies or name.lower().endswith("id")
        textual = fact.column.type in (*TEXTUAL, "uuid")
        rank = (
            identifies and rest <= kind_words,
            titles and rest <= kind_words,
            keyed and textual,
            textual,
        )
        ranked.append((*(not flag for flag in rank), not keyed, place))
    return (names[min(ranked)[-1]],) if ranked else ()


def _title(kind: str, facts: Mapping[str, ColumnFacts], key: Sequence[str]) -> tuple[str, ...]:
    texts = [name for name, fact in facts.items() if fact.column.type in TEXTUAL]
    person = _person(texts)
    if person:
        return person
    named_column = _title_column(kind, texts)
    if named_column:
        return (named_column,)
    distinct = [name for name in texts if facts[name].unique and facts[name].width < LONG_TEXT]
    candidates = [name for name in distinct if name not in key] or distinct
    return tuple(candidates[:1])


def _person(texts: Iterable[str]) -> tuple[str, ...]:
    names = {"".join(words_of(name)).removesuffix("name"): name for name in texts}
    for first, last in _PERSON_NAMES:
        if first in names and last in names:
            return names[first], names[last]
    return ()


def _title_column(kind: str, texts: Sequence[str]) -> str | None:
    """Return the title column: ``name``, then ``customer_name`` of customers, then any ``…_name``."""
    kind_words = {singular(word) for word in words_of(kind)}
    ranked = []
    for place, name in enumerate(texts):
        words = words_of(name)
        for rank, title in enumerate(_TITLE_WORDS):
            if title not in words:
                continue
            rest = {singular(word) for word in words} - {title}
            distance = 0 if not rest else 1 if rest <= kind_words else 3
            ranked.append((distance, rank, place, name))
    exact = [entry for entry in ranked if entry[0] < len(("own", "kind", "words"))]
    chosen = min(exact or ranked, default=None)
    return chosen[-1] if chosen else None


def _date(kind: str, facts: Mapping[str, ColumnFacts]) -> str | None:
    """Return the date that a question without a named date means."""
    kind_words = {singular(word) for word in words_of(kind)}
    ranked = []
    for place, (name, fact) in enumerate(facts.items()):
        if fact.column.type not in TEMPORAL and fact.column.unit not in TIME_UNITS:
            continue
        words = set(words_of(name))
        bookkeeping = bool(words & _BOOKKEEPING)
        names_kind = bool({singular(word) for word in words} & kind_words)
        ranked.append((bookkeeping, bool(words & _LESS_LIKELY), not names_kind, place, name))
    return min(ranked)[-1] if ranked else None


def is_join_table(
    key: Sequence[str], columns: Iterable[str], foreign: Iterable[Sequence[str]]
) -> bool:
    """Return True for a table that only links two others."""
    linked = [tuple(foreign_key) for foreign_key in foreign]
    covered = {name for foreign_key in linked for name in foreign_key}
    other_columns = [
        name
        for name in columns
        if name not in covered and name not in key and not set(words_of(name)) & _BOOKKEEPING
    ]
    return len(linked) == len(("one", "other")) and set(key) <= covered and not other_columns


def is_person_kind(kind: CatalogKind, english: EnglishWords) -> bool:
    """Return True where rows are people: by the name, or by columns such as first and last name."""
    names = {"".join(words_of(column)) for column in kind.columns}
    if {"firstname", "lastname"} <= names or names & _PERSONAL:
        return True
    head = kind.words[0].split()[-1] if kind.words else words_of(kind.source)[-1]
    collective = head in _COLLECTIVE and len(words_of(kind.source.rpartition(".")[2])) == 1
    return collective or english.is_person(singular(head))


_COLLECTIVE = frozenset(("staff", "personnel", "crew"))
"""Nouns for several people."""


_PERSONAL = frozenset(
    (
        *("born", "birthdate", "dateofbirth", "birthday", "birthyear", "yearofbirth", "gender"),
        *("forename", "surname", "maidenname"),
    )
)
"""Columns that people have."""


def verbs_of_people(
    catalog: Catalog, kinds: Iterable[str], english: EnglishWords
) -> dict[str, dict[str, float]]:
    """Return what people of a kind do, in base form: customers are buyers, and "buy"."""
    kinds_by_verb: dict[str, dict[str, float]] = defaultdict(dict)
    for name in kinds:
        head = (catalog.kinds[name].words or (phrase_of(name),))[0].split()[-1]
        for related_word, weight in english.related_words(singular(head), "n").items():
            for verb in english.verbs(related_word) if related_word.endswith(("er", "or")) else ():
                base = base_form(verb, english.irregular)
                kinds_by_verb[base][name] = max(weight, kinds_by_verb[base].get(name, 0.0))
    return kinds_by_verb
