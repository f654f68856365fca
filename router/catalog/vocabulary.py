"""The words that lead to kinds, columns and links, each with a weight.

Names count fully, words near them in English less. The index is made once for a catalogue.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from router.catalog.english import EnglishWords
from router.catalog.guesses import is_person_kind, verbs_of_people
from router.catalog.hierarchy import HIERARCHY, UNDER, superior_end
from router.catalog.identifiers import (
    kind_phrases,
    parts_of,
    phrase_of,
    singular,
    words_of,
)
from router.catalog.model import (
    Catalog,
    CatalogColumn,
    CatalogKind,
    CatalogLink,
    is_flag_column,
    is_temporal,
)
from router.catalog.spelling import Spelling
from router.catalog.word_forms import abbreviates, base_form, other_names, shares_stem

Sort = Literal["kind", "column", "link", "role"]
NAME = 1.0
PART = 0.75
"""A name less its generic part: "birth" for ``birth_date``."""
HEAD = 0.6
"""The last word of a longer name: "line" for ``invoice_line``."""
FIRST = 0.4
"""The first word of a longer name: "units" for ``units_in_stock``."""
NEAR = 0.85
"""Factor of a word that only means the same."""
_GENERIC = frozenset(
    [
        "id",
        "ids",
        "date",
        "datetime",
        "time",
        "timestamp",
        "at",
        "on",
        "name",
        "no",
        "nr",
        "number",
        "code",
        "key",
        "value",
        "type",
        "is",
        "has",
        "flag",
        "count",
        "total",
        "amount",
        "the",
        "of",
        "by",
        "to",
        "in",
        "for",
        "and",
    ]
)
_UNITS = frozenset(
    (
        *("kg", "g", "lb", "lbs", "km", "mi", "cm", "mm", "ms", "sec", "secs", "min", "mins"),
        *("hrs", "usd", "eur", "gbp", "percent"),
    )
)
"""Units that end names: ``wgt_kg`` is a weight."""
_COMPOUNDS = {
    **dict.fromkeys(("email", "mail", "web", "street", "ip"), "address"),
    **dict.fromkeys(("phone", "telephone", "fax", "mobile"), "number"),
    **dict.fromkeys(("zip", "post"), "code"),
}
ABBREVIATED, SHORTENED, STEM = 0.85, 0.7, 0.85
"""Factors: a name abbreviates a word; the same, the name being a word; both share a stem."""
MISSPELT, MISSPELT_MIN = 0.9, 5
"""Factor of a name that a word has but for one edit, and the fewest letters of such a word."""
STRANGE = 0.65
"""Factor of another word for a flag: a wrong one would hide rows."""
_TIME_PARTS = frozenset(["date", "datetime", "time", "timestamp", "at", "on"])


@dataclass(frozen=True, slots=True)
class Term:
    """A possible meaning of a phrase. A ``role`` is a person of a link: "director" for DIRECTED.

    ``exact`` is True for the thing's own name, ``opposite`` for a word that denies it.
    """

    sort: Sort
    kind: str
    weight: float
    column: str = ""
    link: str = ""
    exact: bool = False
    opposite: bool = False


class Vocabulary:
    """Phrases of a catalogue. Immutable after loading; safe for threads."""

    def __init__(self, catalog: Catalog, english: EnglishWords) -> None:
        self._irregular = english.irregular
        self._terms: dict[str, dict[tuple[str, str, str, str], Term]] = defaultdict(dict)
        self.person_kinds = frozenset(
            name
            for name, kind in catalog.visible_kinds.items()
            if kind.store != "qdrant" and is_person_kind(kind, english)
        )
        columns = [
            (name, column, facts)
            for name, kind in catalog.visible_kinds.items()
            for column, facts in kind.visible.items()
        ]
        self.temporal = frozenset((k, c) for k, c, facts in columns if is_temporal(facts))
        self.endings = frozenset(
            (k, c) for k, c, facts in columns if is_temporal(facts) and facts.nulls
        )
        self.flags = frozenset((k, c) for k, c, facts in columns if is_flag_column(facts))
        for name, kind in catalog.visible_kinds.items():
            if kind.store != "qdrant":
                self._add_kind(name, kind, english)
        self.relationships = frozenset(
            name for name, link in catalog.visible_links.items() if link.relationship
        )
        for link in catalog.visible_links.values():
            self._add_link(link, english)
        self.person_verbs = verbs_of_people(catalog, self.person_kinds, english)
        self._parts = _abbreviations(catalog, english)
        self.hidden = frozenset(
            " ".join(map(singular, phrase.split()))
            for phrase in map(phrase_of, catalog.hidden_names)
            if not any(term.exact for term in self._terms.get(self._key(phrase), {}).values())
        )
        self.words_max = max((key.count(" ") + 1 for key in self._terms), default=1)
        self._english = english
        self.is_adjective = english.is_adjective
        self._spelling = Spelling(key for key in self._terms if self._names_exactly(key))
        self.lemma = lru_cache(maxsize=32_768)(self._lemma)
        self.derived = lru_cache(maxsize=4096)(self._derive_terms)

    def find(self, words: Iterable[str]) -> list[Term]:
        """Return the meanings of a phrase, best first; ``words`` are folded."""
        words = list(words)
        key = " ".join(self.lemma(word) for word in words)
        terms = list(self._terms.get(key, {}).values())
        if len(words) == 1 and all(term.weight < HEAD for term in terms):
            terms += self.derived(words[0])
        return sorted(terms, key=lambda term: -term.weight)

    def find_misspelt(self, word: str) -> list[Term]:
        """Return what a word that English lacks names exactly but for one edit: "studnets"."""
        if len(word) < MISSPELT_MIN or any(map(self._english.knows, self._english.base(word))):
            return []
        near = self._spelling.corrections(self.lemma(word))
        terms = (term for key in near for term in self._terms[key].values() if term.exact)
        return [replace(term, weight=term.weight * MISSPELT) for term in terms]

    def _names_exactly(self, key: str) -> bool:
        return any(term.exact for term in self._terms[key].values())

    def _derive_terms(self, word: str) -> tuple[Term, ...]:
        """Return the meanings of parts of names that abbreviate a word or share its stem."""
        factors = {}
        for part, factor in self._parts.get(word[:1], {}).items():
            if shares_stem(word, part):
                factors[part] = STEM
            elif abbreviates(part, word):
                factors[part] = factor
        return tuple(
            replace(term, weight=term.weight * factor, exact=False)
            for part, factor in factors.items()
            for term in self._terms.get(self.lemma(part), {}).values()
            if term.weight >= HEAD
        )

    def _key(self, phrase: str) -> str:
        return " ".join(self._lemma(word) for word in phrase.split())

    def _lemma(self, word: str) -> str:
        return base_form(word, self._irregular)

    def _add(self, phrase: str, term: Term) -> None:
        key = self._key(phrase)
        if not key:
            return
        identity = (term.sort, term.kind, term.column, term.link)
        before = self._terms[key].get(identity)
        if before is None or before.weight < term.weight:
            self._terms[key][identity] = term

    def _add_kind(self, name: str, kind: CatalogKind, english: EnglishWords) -> None:
        for phrase in dict.fromkeys((*kind_phrases(name), *kind.words)):
            self._add(phrase, Term("kind", name, NAME, exact=True))
            words = phrase.split()
            related_words = english.related_words(singular(words[-1]), "n")
            factor = NEAR if len(words) == 1 else NEAR * HEAD
            if len(words) > 1:
                self._add(words[-1], Term("kind", name, HEAD))
                if singular(words[-1]) in _GENERIC:  # "diagnosis codes" are diagnoses
                    self._add(" ".join(words[:-1]), Term("kind", name, PART))
                self._add("".join(words), Term("kind", name, NAME, exact=True))
            for word, weight in related_words.items():
                self._add(word, Term("kind", name, weight * factor))
        for column, facts in kind.visible.items():
            self._add_column(name, (column, facts), english)

    def _add_column(
        self, kind: str, column_and_facts: tuple[str, CatalogColumn], english: EnglishWords
    ) -> None:
        column, facts = column_and_facts
        kind_words = {singular(word) for word in words_of(kind)}
        names = (phrase_of(column), " ".join(parts_of(column)), *facts.words)
        names += tuple(name for phrase in names[:2] for name in other_names(phrase))
        for phrase in dict.fromkeys(names):
            self._add(phrase, Term("column", kind, NAME, column, exact=True))
            words = phrase.split()
            if words[-1] in _COMPOUNDS:  # "email address", "phone number"
                compound = f"{phrase} {_COMPOUNDS[words[-1]]}"
                self._add(compound, Term("column", kind, NAME, column, exact=True))
            named = words[:-1] if words[1:] and words[-1] in _UNITS else words
            generic = _GENERIC | {"year"} if (kind, column) in self.temporal else _GENERIC
            rest = [
                word for word in named if word not in generic and singular(word) not in kind_words
            ]
            if rest and rest != words:
                self._add(" ".join(rest), Term("column", kind, PART, column))
            bare = [word for word in words if singular(word) not in kind_words]
            if bare and bare != words:
                self._add(" ".join(bare), Term("column", kind, NAME, column, exact=True))
            core = rest or bare or words
            factor = NEAR if len(core) == 1 else NEAR * HEAD
            if len(core) > 1:
                self._add(core[-1], Term("column", kind, HEAD, column))
                self._add(core[0], Term("column", kind, FIRST, column))
            timed = (kind, column) in self.temporal
            pos = "nv" if timed or set(words) & _TIME_PARTS else "nva"
            flag = (kind, column) in self.flags
            for word, weight in english.related_words(singular(core[-1]), pos).items():
                strange = STRANGE if flag and word[:4] != core[-1][:4] else 1.0
                self._add(word, Term("column", kind, weight * factor * strange, column))

    def _add_link(self, link: CatalogLink, english: EnglishWords) -> None:
        base = Term("link", link.start, NAME, link=link.id, exact=True)
        names = (phrase_of(link.name), " ".join(parts_of(link.name)))
        for phrase in dict.fromkeys((*names, *link.words, *link.reverse_words)):
            self._add(phrase, base)
            words = phrase.split()
            if words[-1] == "of" and link.start != link.end and english.is_person(words[0]):
                self._add(phrase, Term("role", link.start, NAME, link=link.id))  # "directors of"
            for word in [word for word in words if word not in _GENERIC] or words:
                self._add_link_word(word, link, english)
        if link.start == link.end and superior_end(link) is not None:
            for word in (*HIERARCHY, *UNDER):
                self._add(word, Term("link", link.start, NEAR, link=link.id))
        for column, facts in link.properties.items():
            if not facts.hide:
                term = Term("column", link.start, PART, column, link=link.id)
                self._add(phrase_of(column), term)

    def _add_link_word(self, word: str, link: CatalogLink, english: EnglishWords) -> None:
        self._add(word, Term("link", link.start, NAME, link=link.id))
        for related_word, weight in english.related_words(word, "nv").items():
            if " " not in related_word:
                self._add(related_word, Term("link", link.start, weight * NEAR, link=link.id))
                self._add_role(related_word, weight, link, english)

    def _add_role(self, word: str, weight: float, link: CatalogLink, english: EnglishWords) -> None:
        if link.relationship and link.start in self.person_kinds and english.is_person(word):
            self._add(word, Term("role", link.start, weight, link=link.id))


def _abbreviations(catalog: Catalog, english: EnglishWords) -> dict[str, dict[str, float]]:
    """Return the parts of names by first letter, each with the factor of what it abbreviates."""
    parts: dict[str, dict[str, float]] = defaultdict(dict)
    for name, kind in catalog.visible_kinds.items():
        for part in {part for identifier in (name, *kind.visible) for part in parts_of(identifier)}:
            parts[part[0]][part] = SHORTENED if english.knows(part) else ABBREVIATED
    return parts
