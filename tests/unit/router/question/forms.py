"""Forms over the clinic for Hypothesis: any that the types allow, harmful values included."""

from datetime import date

from hypothesis import strategies as st

from router.question.form import (
    Aggregate,
    AllCondition,
    AnyCondition,
    Condition,
    LinkCondition,
    LinkStep,
    Measure,
    MeasureCondition,
    Operator,
    QuestionForm,
    SortKey,
    ValueCondition,
)

TEXTS = ("Oslo", "Paris", "paid", "new", "Marie Curie", "'; DROP TABLE x; --", "\\", "$1", "", "ø")
COLUMNS = {
    "doctor": {"name": "text", "city": "text", "fee": "number", "hired": "date"},
    "patient": {"name": "text", "city": "text", "insured": "boolean"},
    "visit": {"status": "text", "cost": "number", "day": "date"},
}
STEPS = {
    "doctor": (
        (LinkStep(link="doctor.chief.doctor"), "doctor"),
        (LinkStep(link="doctor.chief.doctor", reverse=True), "doctor"),
        (LinkStep(link="visit.doctor.doctor", reverse=True), "visit"),
    ),
    "patient": ((LinkStep(link="visit.patient.patient", reverse=True), "visit"),),
    "visit": (
        (LinkStep(link="visit.doctor.doctor"), "doctor"),
        (LinkStep(link="visit.patient.patient"), "patient"),
    ),
}
OPERATORS: tuple[Operator, ...] = ("=", "contains")
TEXT_OPERATORS = st.sampled_from(OPERATORS)
ORDERS = st.sampled_from(("<", "<=", ">", ">=", "="))
numbers = st.one_of(st.integers(-5, 2000), st.sampled_from((80, 90, 120, 0.5, 2**40, -(2**70))))
dates = st.dates(date(2000, 1, 1), date(2026, 1, 1))


@st.composite
def value_conditions(draw: st.DrawFn, kind: str) -> ValueCondition:
    """Draw a condition on a column of ``kind``."""
    column, sort = draw(st.sampled_from(sorted(COLUMNS[kind].items())))
    negated = draw(st.booleans())
    if draw(st.integers(0, 5)) == 0:
        return ValueCondition(column=column, operator="missing", negated=negated)
    if sort == "text":
        values = tuple(draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)))
        operator: Operator = draw(TEXT_OPERATORS)
        return ValueCondition(column=column, operator=operator, values=values, negated=negated)
    if sort == "boolean":
        return ValueCondition(column=column, values=(draw(st.booleans()),), negated=negated)
    value = draw(numbers if sort == "number" else dates)
    return ValueCondition(column=column, operator=draw(ORDERS), values=(value,), negated=negated)


@st.composite
def paths(draw: st.DrawFn, kind: str, longest: int = 2) -> tuple[tuple[LinkStep, ...], str]:
    """Draw a way from ``kind`` that never goes straight back, and the kind at its end."""
    steps: list[LinkStep] = []
    for _ in range(draw(st.integers(1, longest))):
        onward = [
            (step, end) for step, end in STEPS[kind] if not steps or step.link != steps[-1].link
        ]
        if not onward:
            break
        step, kind = draw(st.sampled_from(onward))
        steps.append(step)
    return tuple(steps), kind


@st.composite
def measures(draw: st.DrawFn, kind: str) -> Measure:
    """Draw a count, or another function of a number, over linked rows."""
    path, end = draw(paths(kind))
    numeric = [name for name, sort in COLUMNS[end].items() if sort == "number"]
    function = draw(st.sampled_from(("count", "sum", "average", "minimum", "maximum")))
    if function == "count" or not numeric:
        return Measure(function="count", path=path)
    return Measure.model_validate({"function": function, "path": path, "column": numeric[0]})


@st.composite
def conditions(draw: st.DrawFn, kind: str, depth: int = 0) -> Condition:
    """Draw a condition of any type, links at most three deep."""
    sort = draw(st.integers(0, 6))
    if sort <= 2 or depth == 3:
        return draw(value_conditions(kind))
    if sort == 3:
        inner = tuple(draw(st.lists(value_conditions(kind), min_size=1, max_size=2)))
        return AnyCondition(conditions=inner)
    if sort == 4:
        inner = tuple(draw(st.lists(value_conditions(kind), min_size=1, max_size=2)))
        return AnyCondition(conditions=(AllCondition(conditions=inner),))
    if sort == 5 and depth == 0:
        return MeasureCondition(
            measure=draw(measures(kind)), operator=draw(ORDERS), value=draw(st.integers(0, 300))
        )
    step, end = draw(st.sampled_from(STEPS[kind]))
    linked = tuple(draw(st.lists(conditions(end, depth + 1), max_size=2)))
    return LinkCondition(step=step, conditions=linked, negated=draw(st.booleans()))


@st.composite
def forms(draw: st.DrawFn) -> QuestionForm:
    """Draw a whole form."""
    kind = draw(st.sampled_from(sorted(COLUMNS)))
    numeric = [name for name, type_ in COLUMNS[kind].items() if type_ == "number"]
    form = QuestionForm(kind=kind, conditions=tuple(draw(st.lists(conditions(kind), max_size=3))))
    shape = draw(st.integers(0, 3))
    if shape == 1:
        measure = draw(measures(kind))
        if bool(numeric) and draw(st.booleans()):
            measure = Measure(column=numeric[0])
        order = SortKey(measure=measure, descending=draw(st.booleans()))
        return form.model_copy(update={"order": order})
    if shape == 2:
        function = draw(st.sampled_from(("count", "sum", "average", "minimum", "maximum")))
        column = numeric[0] if numeric and function != "count" else None
        aggregate = Aggregate.model_validate(
            {"function": function if column else "count", "column": column}
        )
        return form.model_copy(update={"aggregate": aggregate})
    if shape == 3:
        path, end = draw(paths(kind))
        group = draw(st.sampled_from(sorted(COLUMNS[end])))
        aggregate = Aggregate(function="count", group_by=(group,) if group else (), path=path)
        return form.model_copy(update={"aggregate": aggregate})
    return form
