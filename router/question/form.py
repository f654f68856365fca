"""The typed form of a question: one meaning between language and stores.

A form names a kind of the catalogue and restricts it. Conditions form a tree along links, five
deep at most. Identifiers are names of the catalogue and values are data; neither is ever
text of a query language.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LINKS_MAX = 5
"""Three links, two of which may pass a table that only joins its neighbours."""
UNIT_LETTERS = {"year": len("2026"), "month": len("2026-11"), "day": len("2026-11-30")}
"""How much of an ISO date names a unit of time."""
CONDITIONS_MAX = 20
ROWS_MAX = 1000
Value = str | int | float | bool | date | datetime
Operator = Literal["=", "<", "<=", ">", ">=", "contains", "missing"]
Function = Literal["count", "sum", "average", "minimum", "maximum"]
AggregateFunction = Literal["count", "distinct", "sum", "average", "minimum", "maximum"]


class FormPart(BaseModel):
    """A frozen part of a form; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LinkStep(FormPart):
    """One link to follow. ``reverse`` goes from the link's end to its start."""

    link: str
    reverse: bool = False


class ValueCondition(FormPart):
    """A column compared with values; several values are alternatives.

    ``missing`` takes no value and is true where the column is null.
    """

    type: Literal["value"] = "value"
    column: str
    operator: Operator = "="
    values: tuple[Value, ...] = ()
    negated: bool = False


class LinkCondition(FormPart):
    """The existence of a linked row that meets all ``conditions``.

    ``properties`` restrict the relationship itself (graph only). ``distinct`` excludes the row
    that the form asks for, as in "colleagues of".
    """

    type: Literal["link"] = "link"
    step: LinkStep
    conditions: tuple["Condition", ...] = ()
    properties: tuple[ValueCondition, ...] = ()
    negated: bool = False
    distinct: bool = False


class MeasureCondition(FormPart):
    """A measure compared with a number: "customers with more than five orders"."""

    type: Literal["measure"] = "measure"
    measure: "Measure"
    operator: Literal["=", "<", "<=", ">", ">="]
    value: int | float


class AnyCondition(FormPart):
    """Alternatives, at least one of which holds."""

    type: Literal["any"] = "any"
    conditions: tuple["Condition", ...] = Field(min_length=1)


class AllCondition(FormPart):
    """Conditions that hold together, inside of alternatives."""

    type: Literal["all"] = "all"
    conditions: tuple["Condition", ...] = Field(min_length=1)


Condition = Annotated[
    ValueCondition | LinkCondition | MeasureCondition | AnyCondition | AllCondition,
    Field(discriminator="type"),
]


class Measure(FormPart):
    """A number computed over linked rows, or a column of the row itself where ``path`` is empty.

    ``conditions`` restrict the rows at the path's end. ``count`` takes no column.
    """

    function: Function | None = None
    path: tuple[LinkStep, ...] = Field(default=(), max_length=LINKS_MAX)
    column: str | None = None
    conditions: tuple[Condition, ...] = ()


class SortKey(FormPart):
    """An order of rows; rows without a value come last."""

    measure: Measure
    descending: bool = False


class Aggregate(FormPart):
    """One number for all rows, or one for each value of ``group_by``.

    ``distinct`` counts the different values of ``column``. ``group_by`` are columns of the kind at
    the end of ``path``, cut to a ``unit`` of time; ``each`` keeps rows apart that they call alike.
    """

    function: AggregateFunction
    column: str | None = None
    group_by: tuple[str, ...] = ()
    unit: Literal["year", "month", "day"] | None = None
    each: bool = False
    path: tuple[LinkStep, ...] = Field(default=(), max_length=LINKS_MAX)


class QuestionForm(FormPart):
    """A question's meaning. ``select`` names the columns asked for; ``text`` is found by meaning."""

    kind: str
    conditions: tuple[Condition, ...] = Field(default=(), max_length=CONDITIONS_MAX)
    order: SortKey | None = None
    limit: int | None = Field(default=None, ge=1, le=ROWS_MAX)
    aggregate: Aggregate | None = None
    select: tuple[str, ...] = ()
    text: str | None = None

    @property
    def key(self) -> str:
        """A canonical text: equal for equal forms, whatever the order of the conditions."""
        ordered = sorted(self.conditions, key=lambda condition: condition.model_dump_json())
        return self.model_copy(update={"conditions": tuple(ordered)}).model_dump_json(
            exclude_defaults=True
        )


def nested_conditions(condition: Condition) -> tuple[Condition, ...]:
    """Return the conditions directly inside ``condition``."""
    if isinstance(condition, LinkCondition | AnyCondition | AllCondition):
        return condition.conditions
    if isinstance(condition, MeasureCondition):
        return condition.measure.conditions
    return ()


def walk(conditions: tuple[Condition, ...]) -> Iterator[Condition]:
    """Every condition of a tree, outer ones first."""
    for condition in conditions:
        yield condition
        yield from walk(nested_conditions(condition))


LinkCondition.model_rebuild()
MeasureCondition.model_rebuild()
AnyCondition.model_rebuild()
AllCondition.model_rebuild()
