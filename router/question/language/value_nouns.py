"""Nouns that many values of a column end in: "bikes" for "Road Bikes" and "Mountain Bikes".

People call the rows that have such a value by its noun, which no name of the schema says.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from router.catalog.folding import fold_text
from router.catalog.identifiers import singular
from router.catalog.model import Catalog, CatalogKind
from router.catalog.values import CATEGORIES_MAX, ColumnValues, KindValues
from router.catalog.vocabulary import Term
from router.question.language.mentions import Mentions, by_place
from router.question.language.negation import is_negated
from router.question.language.term_mentions import TermMention

VALUES_MIN, SHARE_MIN = 2, 0.25
"""How many values, and which share of a column's, must end in a noun."""
SURENESS = 0.58
"""A noun of values names a kind less surely than the kind's own name."""


def value_nouns(catalog: Catalog, values: KindValues) -> Mapping[str, Sequence[Term]]:
    """Return the kinds that the nouns of categories name, by the noun in the singular."""
    nouns: dict[str, dict[str, Term]] = defaultdict(dict)
    for name, columns in values.items():
        facts = catalog.visible_kinds.get(name)
        for each in columns if facts is not None else ():
            for noun in _shared_nouns(each):
                for kind in _called(catalog, (name, facts), each.columns):
                    nouns[noun][kind] = Term("kind", kind, SURENESS)
    return {noun: tuple(terms.values()) for noun, terms in nouns.items()}


def _shared_nouns(values: ColumnValues) -> Iterator[str]:
    """Yield the last words that enough values of several words share."""
    if (
        values.scope
        or len(values.columns) > 1
        or not values.complete
        or len(values.values) > CATEGORIES_MAX
    ):
        return
    phrases = [fold_text(row[0]).split() for row in values.values]
    counts = Counter(singular(words[-1]) for words in phrases if len(words) > 1)
    for noun, count in counts.items():
        if count >= max(VALUES_MIN, SHARE_MIN * len(phrases)) and noun.isalpha():
            yield noun


def _called(
    catalog: Catalog, named: tuple[str, CatalogKind | None], columns: tuple[str, ...]
) -> Iterator[str]:
    """Yield the kind that has a category; for the title of a lookup table the kinds that refer to it."""
    name, facts = named
    if facts is None or columns != facts.title or not _is_lookup(facts):
        yield name
        return
    for link in catalog.visible_links.values():
        if link.end == name and link.start != name and not catalog.kinds[link.start].view:
            yield link.start


def _is_lookup(facts: CatalogKind) -> bool:
    """Return True for a table of names alone, such as the categories of products."""
    return len(set(facts.visible) - {*facts.key, *facts.title}) <= LOOKUP_COLUMNS


LOOKUP_COLUMNS = 1
"""Columns of a lookup table beside key and title: a description or a date of change."""


def name_by_values(mentions: Mentions, nouns: Mapping[str, Sequence[Term]]) -> Mentions:
    """Let the nouns of values name kinds where no surer words are there."""
    sure = [m for m in mentions.terms if any(t.weight >= SURENESS for t in m.of("kind"))]
    spans = [(each.start, each.end) for each in mentions.dates]
    spans += [(each.start, each.end) for each in mentions.values]
    spans += [(each.start, each.end) for each in sure]
    covered = {place for start, end in spans for place in range(start, end)}
    added = []
    for place, token in enumerate(mentions.tokens):
        terms = nouns.get(singular(token.folded), ()) if place not in covered else ()
        if terms:
            negated = is_negated(mentions.tokens, place, by_place(mentions.values))
            added.append(TermMention(place, place + 1, tuple(terms), negated))
    if not added:
        return mentions
    every = _merge(mentions.terms, added)
    return replace(mentions, terms=tuple(sorted(every, key=lambda mention: mention.start)))


def _merge(terms: Sequence[TermMention], added: Sequence[TermMention]) -> Iterator[TermMention]:
    """Yield every mention; what one word means by its values comes first."""
    by_start = {each.start: each for each in added}
    for mention in terms:
        single = by_start.pop(mention.start, None) if mention.end - mention.start == 1 else None
        yield replace(mention, terms=(*single.terms, *mention.terms)) if single else mention
    yield from by_start.values()
