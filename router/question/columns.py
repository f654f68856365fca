"""Columns that a number, a time or a superlative is about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from router.catalog.identifiers import phrase_of, words_of
from router.catalog.model import NUMERIC, Catalog, CatalogColumn, is_temporal
from router.catalog.paths import SchemaPath, SchemaPaths
from router.catalog.vocabulary import Term, Vocabulary
from router.question.draft import Branch, Draft
from router.question.form import Condition, ValueCondition
from router.question.language.grammar import DIMENSIONS, MONEY
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention

NEAR_TOKENS = 5
LINK_COST = 0.3
_VAGUE, VAGUE_MIN = frozenset(("total", "amount", "value", "sum", "balance")), 0.6
"""Words of money whose synonyms are not: a quantity is an amount, but no price."""
_UNMEASURED = frozenset(
    ("number", "no", "nr", "round", "latitude", "longitude", "lat", "lng", "lon", "position")
)
"""Last words of columns that nobody means by "over 10" or "the largest"."""
_MEASURES = (*MONEY, "size", "quantity", "score", "rating", "duration")


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """A column at the end of a path, with how sure it is; ``place`` of the words that name it.

    ``link`` is True for a property of the path's last link.
    """

    path: SchemaPath
    kind: str
    column: str
    weight: float
    place: tuple[int, int] | None = None
    link: bool = False


class ColumnFinder:
    """Chooses columns for one catalogue."""

    def __init__(self, catalog: Catalog, vocabulary: Vocabulary, paths: SchemaPaths) -> None:
        self._catalog = catalog
        self._vocabulary = vocabulary
        self._paths = paths
        self._joined = {
            (link.start, near)
            for link in catalog.visible_links.values()
            for near, _ in link.columns
        }

    def is_key(self, kind: str, column: str) -> bool:
        """Return True for a key or foreign key, which nobody sums or compares."""
        facts = self._catalog.kinds[kind]
        has_key_name = words_of(column)[-1] in ("id", "key", "uuid")
        return (
            (column in facts.key and facts.store == "postgres")
            or (kind, column) in self._joined
            or has_key_name
        )

    def numeric(self, kind: str) -> list[str]:
        """Return the columns that measure something."""
        return [
            name
            for name, column in self._catalog.visible_kinds[kind].visible.items()
            if is_measure(column) and not self.is_key(kind, name)
        ]

    def temporal(self, kind: str) -> list[str]:
        """Return the columns that hold times."""
        return [
            name
            for name, column in self._catalog.visible_kinds[kind].visible.items()
            if is_temporal(column)
        ]

    def dimension(self, kind: str, dimension: str) -> tuple[str, float] | None:
        """Return the column of a dimension ("length"): by its words, the likeliest first."""
        temporal = dimension in ("age", "date")
        allowed = self.temporal(kind) if temporal else self.numeric(kind)
        candidates = [
            (term.weight * 0.95**rank, -rank, term.column)
            for rank, word in enumerate(DIMENSIONS[dimension])
            for term in (*self._vocabulary.find([word]), *self._vocabulary.derived(word))
            if term.sort == "column"
            and term.kind == kind
            and term.column in allowed
            and (word not in _VAGUE or term.weight >= VAGUE_MIN)
        ]
        best = max(candidates, default=None)
        return (best[2], best[0]) if best else None

    def graded_column(self, kind: str, dimension: str) -> str | None:
        """Return the column of a superlative's dimension; a person's only date is not an age."""
        if dimension == "age" and (age := self.age(kind)):
            return age
        if found := self.dimension(kind, dimension):
            return found[0]
        if dimension == "date" or (dimension == "age" and not self.is_person(kind)):
            return self._catalog.kinds[kind].date
        return None

    def is_person(self, kind: str) -> bool:
        """Return True for a kind of people."""
        return kind in self._vocabulary.person_kinds

    def age(self, kind: str) -> str | None:
        """Return the number that is an age."""
        return next((name for name in self.numeric(kind) if "age" in words_of(name)), None)

    def default_measure(self, kind: str) -> tuple[str, float] | None:
        """Return the column that "invoices over 10" means."""
        columns = [name for name in self.numeric(kind) if not _UNMEASURED & {*words_of(name)[-1:]}]
        for word in _MEASURES:
            for name in columns:
                if word in self._named_words(kind, name):
                    return name, 0.6
        return (columns[0], 0.5) if len(columns) == 1 else None

    def _named_words(self, kind: str, column: str) -> set[str]:
        names = self._catalog.kinds[kind].columns[column].words
        return {*words_of(column), *(word for name in names for word in name.split())}

    def mentioned_columns(
        self, target: str, mentions: Mentions, around: tuple[int, int], allowed: str
    ) -> Iterator[ColumnChoice]:
        """Yield the columns that words near ``around`` name; ``allowed``: numeric or temporal."""
        for mention in mentions.terms:
            gap = max(around[0] - mention.end, mention.start - around[1], 0)
            # "not shipped yet from May" has no date of shipping.
            absent = mention.negated and allowed == "temporal"
            if gap > NEAR_TOKENS or (absent and not _is_denied(mentions, around)):
                continue
            exact_kinds = {term.kind for term in mention.of("column") if term.exact}
            for term in mention.of("column"):
                if term.opposite or (term.kind in exact_kinds and not term.exact):
                    continue  # "freight" is a column, not a date of shipping
                if term.link:
                    yield from self._properties(target, mention, term, (gap, allowed))
                elif term.column in self._allowed_columns(term.kind, allowed):
                    yield from self._choose_by_term(target, mention, term, gap)

    def _choose_by_term(
        self, target: str, mention: TermMention, term: Term, gap: int
    ) -> Iterator[ColumnChoice]:
        path = self.way(target, term.kind)
        if path is not None:
            weight = term.weight - 0.04 * gap - LINK_COST * length_of(path)
            weight += BESIDE * (gap <= BESIDE_GAP and not path)
            place = (mention.start, mention.end)
            yield ColumnChoice(path, term.kind, term.column, weight, place)

    def _properties(
        self, target: str, mention: TermMention, term: Term, gap_and_allowed: tuple[int, str]
    ) -> Iterator[ColumnChoice]:
        """Yield a relationship's property where the asked kind is one of its ends."""
        gap, allowed = gap_and_allowed
        facts = self._catalog.visible_links[term.link].properties[term.column]
        fits = is_temporal(facts) if allowed == "temporal" else is_measure(facts)
        for step in self._paths.steps(target) if fits else ():
            if step.link == term.link:
                weight = term.weight - 0.04 * gap
                place = (mention.start, mention.end)
                yield ColumnChoice((step,), step.end, term.column, weight, place, link=True)

    def facts(self, choice: ColumnChoice) -> CatalogColumn:
        """Return the column of a choice."""
        if choice.link:
            return self._catalog.visible_links[choice.path[-1].link].properties[choice.column]
        return self._catalog.kinds[choice.kind].columns[choice.column]

    def number_choices(
        self, target: str, mentions: Mentions, around: tuple[int, int], dimension: str
    ) -> list[ColumnChoice]:
        """Return the columns that a number may compare with, best first."""
        choices = list(self.mentioned_columns(target, mentions, around, "numeric"))
        for kind in dict.fromkeys((target, *self.neighbours(target, mentions))):
            path = self.way(target, kind)
            if path is None:
                continue
            cost = LINK_COST * length_of(path)
            if dimension == "age":
                age = self.age(kind)
                choices += [ColumnChoice(path, kind, age, 0.85 - cost)] if age else []
            elif dimension and (by := self.dimension(kind, dimension)):
                choices.append(ColumnChoice(path, kind, by[0], 0.85 * by[1] - cost))
            if default := self.default_measure(kind):
                verb = _verb_beside(kind, mentions, around[0]) if path else None
                weight = default[1] - cost + DONE * (verb is not None)
                choices.append(ColumnChoice(path, kind, default[0], weight, verb))
        return sorted(choices, key=lambda choice: -choice.weight)

    def _allowed_columns(self, kind: str, allowed: str) -> Sequence[str]:
        return self.numeric(kind) if allowed == "numeric" else self.temporal(kind)

    def way(self, target: str, kind: str) -> SchemaPath | None:
        """Return the cheapest way from one kind to another."""
        if kind == target:
            return ()
        return next(iter(self._paths.between(target, kind)), None)

    def near_names(
        self, mentions: Mentions, kind: str, apposed: Sequence[TermMention]
    ) -> Iterator[str]:
        """Yield the adjectives beside a value that hardly resemble its kind: "friendly leopards"."""
        for mention in apposed:
            weights = [term.weight for term in mention.terms if term.kind == kind]
            adjective = self._vocabulary.is_adjective(mentions.tokens[mention.start].folded)
            if adjective and max(weights, default=1.0) < ADJECTIVE_SURE:
                words = mentions.words(mention.start, mention.end)
                yield f"{words} (taken for {phrase_of(kind)})"

    def neighbours(self, target: str, mentions: Mentions) -> list[str]:
        """Return the other kinds that the question names or has values of."""
        named_kinds = [term.kind for mention in mentions.terms for term in mention.of("kind")]
        valued = [entry.kind for mention in mentions.values for entry in mention.entries]
        return [kind for kind in dict.fromkeys((*named_kinds, *valued)) if kind != target]


ADJECTIVE_SURE = 0.5
"""Sureness from which an adjective beside a value means its kind without a doubt."""
DONE = 0.4
"""Bonus of the measure of what was done: "customers who paid more than 100" is of payments."""
BESIDE, BESIDE_GAP = 0.15, 1
"""Bonus of a column whose words are beside a number: "100 in stock" are not a price."""


def _is_denied(mentions: Mentions, around: tuple[int, int]) -> bool:
    return any(each.negated for each in mentions.dates if each.start == around[0])


def _verb_beside(kind: str, mentions: Mentions, start: int) -> tuple[int, int] | None:
    """Return the place of the word in front of a number that names ``kind`` by what is done."""
    for mention in mentions.terms:
        done = any(term.kind == kind and not term.exact for term in mention.of("kind"))
        if done and mention.end == start:
            return mention.start, mention.end
    return None


def branches_of(branch: Branch, path: SchemaPath = ()) -> Iterator[tuple[SchemaPath, Branch]]:
    """Yield the branches below one that must exist, each with its way."""
    for link in branch.branches:
        if not link.negated:
            yield (*path, link.step), link.branch
            yield from branches_of(link.branch, (*path, link.step))


def use_choice(draft: Draft, choice: ColumnChoice, place: tuple[int, int]) -> None:
    """Account for the words of a choice, and for the way to it."""
    draft.use(*place, 1.0)
    draft.bonus += 0.3 * choice.weight
    draft.cost += 0.25 * len(choice.path)
    if choice.place is not None:
        draft.use(*choice.place, max(min(choice.weight + 0.1, 1.0), 0.3))


def add_choice(draft: Draft, choice: ColumnChoice, conditions: Sequence[Condition]) -> None:
    """Put conditions where a choice's column is: on a row or on a relationship."""
    if choice.link:
        link_conditions = [
            condition for condition in conditions if isinstance(condition, ValueCondition)
        ]
        draft.root.restrict(choice.path, link_conditions)
    else:
        draft.root.add(choice.path, conditions)


def is_measure(column: CatalogColumn) -> bool:
    """Return True for a number other than a year or a flag."""
    return column.type in NUMERIC and not column.unit


def length_of(path: SchemaPath) -> float:
    """Return what the links of a way cost together."""
    return sum(step.cost for step in path)
