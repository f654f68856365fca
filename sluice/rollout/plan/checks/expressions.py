"""Problems of a plan's PromQL: syntax, values, and cohorts that it does not tell apart."""

from collections.abc import Iterator
from string import Template

from sluice.rollout.analysis.cohorts import ROUTER_COHORTS, CohortMapping
from sluice.rollout.analysis.gate import Gate, GateKind, Metric, slope_query, template_problem
from sluice.rollout.analysis.promql import Matcher, expression_problem, parse_selectors
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import Problem

COHORT_MARK = "sluice-cohort"
_POSITIVE_OPERATORS = ("=", "=~")


def check_expressions(plan: RolloutPlan) -> Iterator[Problem]:
    """Yield the problems of every ``query`` and ``samples``, and of gates on them."""
    broken: set[str] = set()
    for name, metric in plan.metrics.items():
        for field in ("query", "samples"):
            if problem := _expression_problem(getattr(metric, field) or "", metric.cohorts):
                broken.add(name)
                yield ("metrics", name, field), problem
    for place, gate in plan.rules():
        if gate.metric in plan.metrics and gate.metric not in broken:
            for problem in _gate_problems(gate, plan.metrics[gate.metric]):
                yield place, problem


def cohort_warning(gate: Gate, metric: Metric) -> str:
    """Return the warning of a gate whose cohort its query does not select, or an empty text."""
    if gate.cohort == "all" or gate.kind in (GateKind.CONTROL, GateKind.STATISTICAL):
        return ""
    if any(_cohort_matchers(metric.query)):
        return ""
    return (
        f"reads cohort {gate.cohort}, but the query of {gate.metric!r} has no $cohort: it measures "
        f"everybody; add {metric.cohorts.matcher} to the query, or write cohort: all"
    )


def _expression_problem(template: str, cohorts: CohortMapping) -> str:
    if not template or (problem := template_problem(template)):
        return problem if template else ""
    if problem := expression_problem(_render(template)):
        return problem
    for matchers in _cohort_matchers(template):
        for matcher in matchers:
            if problem := cohort_matcher_problem(matcher, cohorts):
                return problem
    return ""


def cohort_matcher_problem(matcher: Matcher, cohorts: CohortMapping) -> str:
    """Return the reason why a matcher of $cohort never selects the cohort, or an empty text."""
    if matcher.operator not in _POSITIVE_OPERATORS:
        return f"excludes the cohort with {matcher.operator}; write {cohorts.matcher}"
    if matcher.operator == "=":
        return f"compares $cohort with =; it is a regular expression, write {cohorts.matcher}"
    if cohorts != ROUTER_COHORTS and matcher.label != cohorts.label:
        return (
            f"compares $cohort with the label {matcher.label!r}, but cohorts: names the label "
            f"{cohorts.label!r}; write {cohorts.matcher}, or give this metric cohorts: of its own"
        )
    return ""


def _gate_problems(gate: Gate, metric: Metric) -> Iterator[str]:
    if gate.kind is GateKind.CONTROL:
        for field in ("query", "samples"):
            template = getattr(metric, field)
            if template and not any(_cohort_matchers(template)):
                yield (
                    f"compares the cohorts, but the {field} of {gate.metric!r} has no $cohort: both "
                    f"sides would be the same number; add {metric.cohorts.matcher} to its selectors"
                )
    if gate.kind is GateKind.TREND and (
        problem := expression_problem(slope_query(_render(metric.query), gate))
    ):
        yield f"its slope can't be computed: the query of {gate.metric!r} {problem}"


def _cohort_matchers(template: str) -> list[tuple[Matcher, ...]]:
    """Return, by selector, the matchers that contain $cohort; selectors without one are left out."""
    marked = [
        tuple(matcher for matcher in selector.matchers if COHORT_MARK in matcher.value)
        for selector in parse_selectors(_render(template)).selectors
    ]
    return [matchers for matchers in marked if matchers]


def _render(template: str) -> str:
    return Template(template).safe_substitute(cohort=COHORT_MARK, window="5m")
