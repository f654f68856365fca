"""Mistakes of a plan's statistical gates that no single field shows."""

from collections.abc import Iterator

from sluice.rollout.analysis.cohorts import CohortMapping
from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.promql import parse_selectors
from sluice.rollout.analysis.statistic import (
    AnyStatistic,
    BoundedMean,
    LatencyTail,
    MeanValue,
    UserHazards,
    UserMeans,
)
from sluice.rollout.plan.checks.expressions import COHORT_MARK, cohort_matcher_problem
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import Problem
from sluice.rollout.yaml_nodes import Location

SINGLE_COHORT_PERCENTAGES = (0, 100)
_STRATUM_MATCHER: dict[type, str] = {LatencyTail: 'le=~"$le"', UserHazards: '"$stratum"'}


def check_statistical_gates(plan: RolloutPlan) -> Iterator[Problem]:
    """Statistics that count nothing, gates that have none, gates that could never pass."""
    for name, metric in plan.metrics.items():
        if metric.statistic is not None:
            place = ("metrics", name, "statistic")
            yield from _check_selectors(place, metric.statistic, metric.cohorts)
    yield from _check_gates(plan)
    yield from _check_second_cohort(plan)


def _check_selectors(
    place: Location, statistic: AnyStatistic, cohorts: CohortMapping
) -> Iterator[Problem]:
    matcher = _STRATUM_MATCHER.get(type(statistic), "")
    for field in ("events", "units", "total", "squares", "users", "at_risk", "buckets"):
        template = getattr(statistic, field, None)
        if template is None:
            continue
        if problem := _selector_problem(template, matcher, cohorts):
            yield (*place, field), problem


def _selector_problem(template: str, matcher: str, cohorts: CohortMapping) -> str:
    if "$cohort" not in template:
        return f"must select the cohort: write {cohorts.matcher} among its matchers"
    if matcher not in template:
        return f"must select the stratum: write {matcher} among its matchers"
    text = template.replace("$cohort", COHORT_MARK).replace("$le", "1").replace("$stratum", "1")
    text = text.replace("$group", "1")
    try:
        selectors = parse_selectors(text).selectors
    except ValueError as error:
        return f"is not a PromQL selector: {error}"
    if len(selectors) != 1 or "{" not in text or not text.rstrip().endswith("}"):
        return "must be one counter with matchers, without function, range or offset"
    of_cohort = (label for label in selectors[0].matchers if COHORT_MARK in label.value)
    return next(filter(None, (cohort_matcher_problem(label, cohorts) for label in of_cohort)), "")


def _check_gates(plan: RolloutPlan) -> Iterator[Problem]:
    first: dict[str, Gate] = {}
    for place, gate in plan.rules():
        if gate.kind is not GateKind.STATISTICAL:
            continue
        metric = plan.metrics.get(gate.metric)
        if metric is not None and metric.statistic is None:
            yield (*place, "kind"), f"metric {gate.metric!r} has no statistic: to count with"
        elif (
            metric is not None
            and gate.claim == "non_inferiority"
            and not isinstance(metric.statistic, MeanValue | BoundedMean | UserMeans)
        ):
            yield (
                (*place, "claim"),
                "non_inferiority needs a statistic with test: mean, bounded_mean or user_means",
            )
        key = f"{place[2]}/{gate.name}"
        if _evidence_key(first.setdefault(key, gate)) != _evidence_key(gate):
            yield (
                (*place, "name"),
                f"{gate.name!r} is another statistical gate in an earlier step; evidence goes on "
                "from step to step by name: use the same gate, or another name",
            )


def _evidence_key(gate: Gate) -> tuple[str, object, str, float]:
    return gate.metric, gate.window, gate.claim, gate.weight


def _check_second_cohort(plan: RolloutPlan) -> Iterator[Problem]:
    for s, (step, percentage) in enumerate(plan.exposures()):
        if percentage not in SINGLE_COHORT_PERCENTAGES:
            continue
        for g, gate in enumerate(step.gates):
            if gate.kind is GateKind.STATISTICAL and not gate.dry_run:
                place = "after the flag is gone" if step.delete_flag else f"at {percentage:g} %"
                yield (
                    ("steps", s, "gates", g, "kind"),
                    f"a statistical gate has no second cohort {place}, so it could never pass; "
                    "remove it here",
                )
