"""The catalogue of the metadata store: kinds, attributes, and the values that questions may name.

It is read from the data and refreshed periodically, so the filter grammar needs no configuration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from router.backends.tokenization import STOPWORDS, fold, stem
from router.rewrite.normalization import Lexicon

AttributeType = Literal["number", "text", "boolean", "date"]
ENUM_VALUES_MAX = 20  # values of an attribute like a status; one with more holds names or prose
ATTRIBUTE_VALUES_MAX = (
    500  # distinct values kept per attribute; a free-text attribute has too many to match
)

ATTRIBUTES_QUERY = """
    SELECT kind, key, jsonb_typeof(value) AS type, count(*) AS records,
           bool_and(value #>> '{}' ~ '^\\d{4}-\\d{2}-\\d{2}') AS dates
    FROM records, jsonb_each(attributes) GROUP BY kind, key, jsonb_typeof(value)
"""
VALUES_QUERY = """
    SELECT DISTINCT key, value #>> '{}' AS value FROM records, jsonb_each(attributes)
    WHERE jsonb_typeof(value) = 'string' AND length(value #>> '{}') <= 60
    ORDER BY key, value LIMIT 20000
"""
TITLE_WORDS_QUERY = """
    SELECT DISTINCT word FROM (SELECT title FROM records LIMIT 20000) AS part,
        regexp_split_to_table(lower(title), '[^[:alpha:]]+') AS word WHERE length(word) >= 5
"""
KINDS_QUERY = "SELECT DISTINCT kind FROM records"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute as seen in the data; ``kinds`` are the kinds of record that carry it."""

    name: str
    type: AttributeType
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class SchemaCatalog:
    """The kinds, attributes and values of the store; immutable, with lookups by folded text."""

    kinds: frozenset[str] = frozenset()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    attributes_by_value: Mapping[str, frozenset[str]] = field(
        default_factory=dict
    )  # folded value -> attributes
    stored_spellings: Mapping[tuple[str, str], str] = field(default_factory=dict)  # as stored
    title_words: frozenset[str] = frozenset()  # longer words of titles, in lower case

    def find_kind(self, word: str) -> str | None:
        """Return the kind that a word names: ``invoices`` is ``invoice``."""
        return _kinds_by_stem(self.kinds).get(stem(word))

    def find_attribute(self, words: str) -> Attribute | None:
        """Return the attribute that a folded phrase names.

        Examples: ``due date`` is ``due_on``, ``amount`` is ``amount_eur``.
        """
        stems = [stem(word) for word in words.split()]
        exact = self.attributes.get(words.replace(" ", "_"))
        return exact or next(
            (a for name, a in sorted(self.attributes.items()) if _is_same_name(stems, name)), None
        )

    @property
    def lexicon(self) -> Lexicon:
        """Return the words that spelling repair may suggest, and the words of names that it must keep.

        An attribute with few values, all in lower case, is a list of words ("overdue", "paid"). Any
        other value is a name ("Gdansk"), and so is a title.
        """
        by_attribute: dict[str, list[str]] = {}
        for (attribute, _), stored in self.stored_spellings.items():
            by_attribute.setdefault(attribute, []).append(stored)
        lists = (
            values
            for values in by_attribute.values()
            if len(values) <= ENUM_VALUES_MAX and all(value == value.lower() for value in values)
        )
        schema = (name.replace("_", " ") for name in (*self.kinds, *self.attributes))
        words = {word for text in chain(schema, *lists) for word in fold(text).split()}
        names = {word for value in self.attributes_by_value for word in value.split()}
        return Lexicon(frozenset(words - STOPWORDS), frozenset(names | self.title_words))


@lru_cache(maxsize=16)
def _kinds_by_stem(kinds: frozenset[str]) -> Mapping[str, str]:
    """Map each stem to its kind; among kinds with one stem, to the first in the alphabet."""
    return {stem(kind): kind for kind in sorted(kinds, reverse=True)}


_IGNORED_NAME_PARTS = frozenset(
    {"on", "at", "date", "eur", "usd", "kg", "km", "t", "days", "hours", "name"}
)


def _is_same_name(stems: list[str], name: str) -> bool:
    noise = {stem(word) for word in _IGNORED_NAME_PARTS}
    parts = [stem(part) for part in name.lower().split("_")]
    name_parts = [part for part in parts if part not in noise]
    words = [word for word in stems if word not in noise]
    return bool(name_parts) and name_parts == words


def build_catalog(
    kinds: Iterable[str],
    attribute_rows: Iterable[Mapping[str, Any]],
    value_rows: Iterable[Mapping[str, Any]],
    title_words: Iterable[str] = (),
) -> SchemaCatalog:
    """Build the catalogue from the rows of the statements above."""
    attributes: dict[str, Attribute] = {}
    for row in attribute_rows:
        earlier = attributes.get(row["key"])
        kinds_of_key = frozenset({row["kind"]}) | (earlier.kinds if earlier else frozenset())
        attributes[row["key"]] = Attribute(row["key"], _attribute_type(row), kinds_of_key)
    values: dict[str, set[str]] = {}
    spelled: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    for row in value_rows:
        key, value = row["key"], row["value"]
        counts[key] = counts.get(key, 0) + 1
        folded = fold(value)
        if folded and counts[key] <= ATTRIBUTE_VALUES_MAX:
            values.setdefault(folded, set()).add(key)
            spelled[key, folded] = value
    frozen = {value: frozenset(names) for value, names in values.items()}
    return SchemaCatalog(frozenset(kinds), attributes, frozen, spelled, frozenset(title_words))


def _attribute_type(row: Mapping[str, Any]) -> AttributeType:
    if row["type"] == "number":
        return "number"
    if row["type"] == "boolean":
        return "boolean"
    return "date" if row["dates"] else "text"
