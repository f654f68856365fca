"""A form in the making: a tree of conditions for one kind, and which words it accounts for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from router.catalog.model import Catalog, CatalogKind
from router.catalog.paths import SchemaPath, SchemaStep
from router.question.form import (
    Aggregate,
    AnyCondition,
    Condition,
    LinkCondition,
    LinkStep,
    Measure,
    MeasureCondition,
    QuestionForm,
    SortKey,
    ValueCondition,
)
from router.question.validation import end_of


@dataclass(slots=True)
class Branch:
    """Conditions on one kind, and branches along its links."""

    kind: str
    conditions: list[Condition] = field(default_factory=list)
    branches: list["DraftLink"] = field(default_factory=list)

    def add(
        self, path: SchemaPath, conditions: Iterable[Condition], *, apart: bool = False
    ) -> None:
        """Put ``conditions`` at the end of ``path``; ``apart`` in a branch that is not shared."""
        self.at(path, apart=apart).conditions.extend(conditions)

    def at(self, path: SchemaPath, *, apart: bool = False) -> "Branch":
        """Return the branch at the end of ``path``, made where it is missing."""
        if not path:
            return self
        step, rest = path[0], path[1:]
        shared = None if apart and not rest else self.branch(step)
        if shared is None:
            shared = DraftLink(step, Branch(step.end))
            self.branches.append(shared)
        return shared.branch.at(rest, apart=apart)

    def restrict(self, path: SchemaPath, properties: Iterable[ValueCondition]) -> None:
        """Put ``properties`` on the last link of ``path``."""
        parent = self.at(path[:-1])
        parent.at(path[-1:])
        link = parent.branch(path[-1])
        if link is not None:
            link.properties.extend(properties)

    def deny(
        self,
        path: SchemaPath,
        conditions: Iterable[Condition],
        properties: Iterable[ValueCondition] = (),
    ) -> None:
        """Require that nothing at the end of ``path`` meets ``conditions``."""
        link = DraftLink(path[0], Branch(path[0].end), negated=True)
        link.branch.add(path[1:], conditions)
        link.properties.extend(properties)
        self.branches.append(link)

    def branch(self, step: SchemaStep) -> "DraftLink | None":
        """Return the shared branch that begins with ``step``."""
        return next(
            (link for link in self.branches if link.step == step and not link.negated), None
        )

    def conditions_at(self, path: SchemaPath) -> list[Condition]:
        """Return what a shared branch at ``path`` holds so far."""
        branch: Branch | None = self
        for step in path:
            link = branch.branch(step) if branch else None
            branch = link.branch if link else None
        return branch.conditions if branch else []

    def build_conditions(self, root: str, depth: int = 0) -> tuple[Condition, ...]:
        """Return the conditions of the form; ``root`` is the kind that it asks for."""
        links = [link.build_condition(root, depth) for link in self.branches]
        return (*_unique(self.conditions), *links)


@dataclass(slots=True)
class DraftLink:
    """A branch and the step that leads to it."""

    step: SchemaStep
    branch: Branch
    negated: bool = False
    properties: list[ValueCondition] = field(default_factory=list)

    def build_condition(self, root: str, depth: int) -> LinkCondition:
        """Return the condition; a row of the asked kind further out is another one than itself."""
        return LinkCondition(
            step=LinkStep(link=self.step.link, reverse=self.step.reverse),
            conditions=self.branch.build_conditions(root, depth + 1),
            properties=tuple(dict.fromkeys(self.properties)),
            negated=self.negated,
            distinct=depth > 0 and self.branch.kind == root,
        )


def _unique(conditions: Iterable[Condition]) -> Iterator[Condition]:
    """Yield conditions once; equalities of one column are alternatives."""
    equal: dict[str, ValueCondition] = {}
    distinct_conditions: list[Condition] = []
    for condition in conditions:
        plain = (
            isinstance(condition, ValueCondition)
            and condition.operator == "="
            and not condition.negated
        )
        if plain and isinstance(condition, ValueCondition):
            before = equal.get(condition.column)
            values = (*before.values, *condition.values) if before else condition.values
            merged = condition.model_copy(update={"values": tuple(dict.fromkeys(values))})
            equal[condition.column] = merged
        elif condition not in distinct_conditions:
            distinct_conditions.append(condition)
    yield from equal.values()
    yield from distinct_conditions


@dataclass(slots=True)
class Draft:
    """A reading for one kind. ``used`` maps token places to how surely they are accounted for.

    ``matches`` are lines for people; ``cost`` is what had to be assumed. ``left_out`` changes the
    answer, ``assumed`` is a guess that the answer rests on.
    """

    kind: str
    root: Branch
    used: dict[int, float] = field(default_factory=dict)
    cost: float = 0.0
    bonus: float = 0.0
    order: SortKey | None = None
    limit: int | None = None
    aggregate: Aggregate | None = None
    select: list[str] = field(default_factory=list)
    measures: list[MeasureCondition | AnyCondition] = field(default_factory=list)
    matches: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    negated: bool = False
    own_times: dict[int, list[Condition]] = field(default_factory=dict)
    """Times of the row itself that name no column, by the place of their first word."""

    def use(self, start: int, end: int, weight: float) -> None:
        """Account for the tokens ``start <= place < end``."""
        for place in range(start, end):
            self.used[place] = max(weight, self.used.get(place, 0.0))

    def form(self) -> QuestionForm:
        """Return the form."""
        conditions = (*self.root.build_conditions(self.kind), *self.measures)
        return QuestionForm(
            kind=self.kind,
            conditions=conditions,
            order=self.order,
            limit=self.limit,
            aggregate=self.aggregate,
            select=tuple(dict.fromkeys(self.select)),
        )


def narrow_measures(form: QuestionForm, catalog: Catalog) -> QuestionForm:
    """Return the form with its measures over those linked rows that it restricts.

    "The most orders in 2024" are those of 2024, not all of a customer who has one of that year.
    """
    conditions = [_narrow_condition(each, form, catalog) for each in form.conditions]
    order = form.order
    if order is not None:
        order = SortKey(measure=_narrow(order.measure, form, catalog), descending=order.descending)
    measures = [each.measure for each in conditions if isinstance(each, MeasureCondition)]
    if order is not None and not order.descending:
        measures.append(order.measure)  # "the fewest" may be none at all
    kept = [each for each in conditions if not _is_covered(each, measures)]
    return form.model_copy(update={"conditions": tuple(kept), "order": order})


def _end(kind: str, steps: Sequence[LinkStep], catalog: Catalog) -> str:
    for step in steps:
        kind = end_of(step, kind, catalog)
    return kind


def _narrow_condition(condition: Condition, form: QuestionForm, catalog: Catalog) -> Condition:
    if not isinstance(condition, MeasureCondition):
        return condition
    measure = _narrow(condition.measure, form, catalog)
    return condition.model_copy(update={"measure": measure})


def _narrow(measure: Measure, form: QuestionForm, catalog: Catalog) -> Measure:
    if not measure.path or measure.conditions:
        return measure
    kind = _end(form.kind, measure.path, catalog)
    there = _at(form.conditions, measure.path)
    fitting = [each for each in there if not _names_row(each, catalog.kinds[kind])]
    return measure.model_copy(update={"conditions": tuple(fitting)})


def _at(conditions: Iterable[Condition], path: Sequence[LinkStep]) -> tuple[Condition, ...]:
    """Return the conditions at the end of ``path``, where one link leads there."""
    links = [
        each
        for each in conditions
        if isinstance(each, LinkCondition) and each.step == path[0] and _is_plain(each)
    ]
    if len(links) != 1:
        return ()
    return links[0].conditions if len(path) == 1 else _at(links[0].conditions, path[1:])


def _is_plain(link: LinkCondition) -> bool:
    return not (link.negated or link.distinct or link.properties)


def _names_row(condition: Condition, kind: CatalogKind) -> bool:
    """Return True for the name of one row: the actors of "The Matrix" with the most movies."""
    return (
        isinstance(condition, ValueCondition)
        and condition.operator == "="
        and condition.column in (*kind.title, *kind.key)
    )


def _is_covered(condition: Condition, measures: Iterable[Measure]) -> bool:
    """Return True for a link whose conditions a measure holds completely."""
    return (
        isinstance(condition, LinkCondition)
        and _is_plain(condition)
        and any(
            measure.path == (condition.step,) and measure.conditions == condition.conditions
            for measure in measures
        )
    )
