"""The value index: which columns hold a phrase of a question, with accents and typos.

It holds distinct values of short text columns, up to a bound, and is made from ``KindValues`` that
a store's reader collected. A phrase leads to conditions; names over several columns ("first last")
lead to one condition for each column.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

from router.catalog.folding import fold_text
from router.catalog.identifiers import words_of
from router.catalog.model import Catalog, CatalogLink
from router.catalog.spelling import LETTERS_MIN, Spelling

CATEGORIES_MAX = 60
"""Up to this many distinct values, a column holds categories: its values are words of the field."""
PHRASE_WORDS_MAX = 9
CALLERS_MAX = 32
"""Indexes of single tenants or users that are kept."""
_ARTICLE = re.compile(r"^(?:the|a|an) (?=\w)")
_TAIL = re.compile(r"\s*(?:[\[(].*[\])]|\s[-–:/]\s.*)\s*$")


@dataclass(frozen=True, slots=True)
class ColumnValues:
    """Distinct values of one column, or of several together, most frequent first.

    ``complete`` is False where the bound cut some off. ``scope`` are the tenant and the user whose
    rows hold them, as ``(variable, value)``; empty where everybody may know them.
    """

    columns: tuple[str, ...]
    values: Sequence[tuple[str, ...]]
    complete: bool = True
    scope: tuple[tuple[str, str], ...] = ()


KindValues = Mapping[str, Sequence[ColumnValues]]


@dataclass(frozen=True, slots=True)
class ValueEntry:
    """Conditions that a phrase may mean, as ``(column, value)`` pairs of one kind.

    ``weight`` is 1 for the value as it is; ``category`` for a column of few values; ``name`` for a
    kind's title; ``inflected`` for a value in the other grammatical number; ``link``
    for a property of that relationship.
    """

    kind: str
    conditions: tuple[tuple[str, str], ...]
    weight: float
    category: bool
    name: bool
    inflected: bool = False
    link: str = ""


class ValueIndex:
    """Phrases to entries. Immutable after loading; safe for threads."""

    def __init__(
        self, catalog: Catalog, values: KindValues, places: Iterable[tuple[str, ...]] = ()
    ) -> None:
        """Index the values that everybody may know; ``seen_by`` adds those of one caller."""
        self._entries: dict[str, list[ValueEntry]] = defaultdict(list)
        self._lemmas: Mapping[str, Sequence[str]] | None = None
        self._source = catalog, values, tuple(places)
        self._scopes = frozenset(
            column_values.scope
            for columns in values.values()
            for column_values in columns
            if column_values.scope
        )
        self.seen_by = lru_cache(maxsize=CALLERS_MAX)(self._seen_by)
        self._places, self._codes = _places(places)
        for name, columns in values.items():
            for column_values in columns:
                if not column_values.scope:
                    self._add_values(catalog, name, column_values)
        words = {word for phrase in self._entries for word in phrase.split()}
        self._words = frozenset(words)
        self.corrections = Spelling(words).corrections
        self.words_max = max((phrase.count(" ") + 1 for phrase in self._entries), default=0)

    def _seen_by(self, caller: frozenset[tuple[str, str]]) -> "ValueIndex":
        """Return the index with the values of the rows that ``caller`` may see, itself without any."""
        scopes = {scope for scope in self._scopes if set(scope) <= caller}
        if not scopes:
            return self
        catalog, values, places = self._source
        known = {
            name: [
                replace(each, scope=())
                for each in columns
                if not each.scope or each.scope in scopes
            ]
            for name, columns in values.items()
        }
        return ValueIndex(catalog, known, places)

    @property
    def known(self) -> KindValues:
        """The values that the index was made from, those of single callers included."""
        return self._source[1]

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, phrase: str) -> Sequence[ValueEntry]:
        """Return the entries of a folded phrase."""
        return self._entries.get(phrase, ())

    def forms(self, word: str, lemma: Callable[[str], str]) -> Sequence[str]:
        """Return the one-word categories that inflect as ``word``: "withdrawn" for "withdrew"."""
        if self._lemmas is None:
            lemmas: dict[str, list[str]] = defaultdict(list)
            for phrase, entries in self._entries.items():
                if " " not in phrase and any(entry.category for entry in entries):
                    lemmas[lemma(phrase)].append(phrase)
            self._lemmas = lemmas
        return self._lemmas.get(lemma(word), ())

    def knows(self, word: str) -> bool:
        """Return True where some value contains the folded word."""
        return word in self._words

    def _add_values(self, catalog: Catalog, name: str, values: ColumnValues) -> None:
        """Add the values of a kind, or of a link; what the catalogue hides is passed over."""
        if name in catalog.visible_kinds:
            self._add_column(catalog, name, values)
        elif name in catalog.visible_links:
            self._add_property(catalog.visible_links[name], values)

    def _add_column(self, catalog: Catalog, kind: str, values: ColumnValues) -> None:
        facts = catalog.visible_kinds[kind]
        if any(column not in facts.visible for column in values.columns):
            return
        category = values.complete and len(values.values) <= CATEGORIES_MAX
        name = values.columns == facts.title or values.columns[0] in facts.title
        about = set(words_of(values.columns[0]))
        codes: Mapping[str, tuple[str, ...]] = self._codes if about & _COUNTRY and not name else {}
        if about & _LANGUAGE and not name:
            codes = {row[0]: _LANGUAGES.get(row[0][:2].lower(), ()) for row in values.values}
        if about & _STATE and _are_states([row[0] for row in values.values if row[0]]):
            codes = _STATES
        for row in values.values:
            conditions = tuple(zip(values.columns, row, strict=True))
            phrases = [*self._phrases(row), *(_parts(row[0]) if name and len(row) == 1 else ())]
            phrases += [(fold_text(place), 0.9) for place in codes.get(row[0], ())]
            if category and about & {"sex", "gender"}:
                phrases += [(word, 0.95) for word in _SEXES.get(row[0].lower(), ())]
            for phrase, weight in phrases:
                entry = ValueEntry(kind, conditions, weight, category, name)
                self._entries[phrase].append(entry)

    def _add_property(self, link: CatalogLink, values: ColumnValues) -> None:
        column = link.properties.get(values.columns[0])
        if column is None or column.hide:
            return
        category = values.complete and len(values.values) <= CATEGORIES_MAX
        for (value,) in values.values:
            for phrase, weight in self._phrases((value,)):
                conditions = ((values.columns[0], value),)
                entry = ValueEntry(link.start, conditions, weight, category, False, link=link.id)
                self._entries[phrase].append(entry)

    def _phrases(self, row: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        text = " ".join(row)
        phrases = dict[str, float]()
        full = fold_text(text)
        phrases[full] = 1.0
        if len(row) == len(("first", "last")):
            phrases.setdefault(fold_text(" ".join(reversed(row))), 0.95)
        phrases.setdefault(_ARTICLE.sub("", full), 0.95)
        short = fold_text(_TAIL.sub("", text))
        if short != full:
            phrases.setdefault(short, 0.85)
        for place in self._places.get(full, ()):
            phrases.setdefault(fold_text(place), 0.9)
        for phrase, weight in phrases.items():
            if phrase and phrase.count(" ") < PHRASE_WORDS_MAX:
                yield phrase, weight


def _places(
    groups: Iterable[tuple[str, ...]],
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the names of places by each of them, and by the code that a group begins with "="."""
    by_name: dict[str, tuple[str, ...]] = {}
    by_code: dict[str, tuple[str, ...]] = {}
    for group in (*groups, *map(tuple, _REGIONS["continents"])):
        names = tuple(name for name in group if not name.startswith("="))
        by_name |= dict.fromkeys(map(fold_text, names), names)
        by_code |= {code[1:]: names for code in group if code.startswith("=")}
    return by_name, by_code


def _are_states(values: Sequence[str]) -> bool:
    return sum(value in _STATES for value in values) >= STATES_SHARE * max(len(values), 1)


def _parts(title: str) -> Iterator[tuple[str, float]]:
    """Yield the first and the last word of a short name: "Jabba" of "Jabba Desilijic Tiure"."""
    words = fold_text(title).split()
    if 1 < len(words) <= PART_WORDS_MAX:
        for word in {words[0], words[-1]}:
            if len(word) >= LETTERS_MIN and not word.isdigit():
                yield word, PART


PART, PART_WORDS_MAX = 0.7, 4
_COUNTRY = frozenset(("country", "nation", "nationality"))
_REGIONS = json.loads(files("router.catalog").joinpath("regions.json").read_text("utf-8"))
_STATES: Mapping[str, tuple[str, ...]] = {
    code: (name,) for code, name in _REGIONS["states"].items()
}
"""States of the USA and provinces of Canada, by postal code; no code means two of them."""
STATES_SHARE = 0.8
"""Share of a column's values that must be such codes: "CA" is Canada elsewhere."""
_STATE = frozenset(("state", "province", "region"))
_LANGUAGE = frozenset(("language", "lang", "locale"))
_LANGUAGES: Mapping[str, tuple[str, ...]] = {
    code: (name,) for code, name in _REGIONS["languages"].items()
}
"""Names of languages by their code in ISO 639-1."""
_FEMALE, _MALE = ("female", "woman", "women", "girl"), ("male", "man", "men", "boy")
_SEXES = {"f": _FEMALE, "female": _FEMALE, "w": _FEMALE, "m": _MALE, "male": _MALE}
