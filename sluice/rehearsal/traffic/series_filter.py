"""The series that a step's queries select: a recording writes these, and leaves the others out.

Half of a rehearsal's time is Prometheus taking samples in. Four fifths of them belong to a cohort or
to counters that no rule of the live step reads.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice.rollout.analysis.blocks import render_selector
from sluice.rollout.analysis.cohorts import COHORTS, Cohort
from sluice.rollout.analysis.gate import Gate, GateKind, Metric
from sluice.rollout.analysis.promql import Matcher, Selector, parse_selectors
from sluice.rollout.analysis.statistic import counted_since_selector
from sluice.rollout.plan.schema import RolloutPlan

_GROUP_LABELS = {
    "router_queries_total": {"intent": "semantic"},
    "router_tenant_queries_total": {"tenant": "default"},
}
"""The one group of queries that a rehearsal has."""
SeriesKey = tuple[tuple[str, str], ...]
"""A series, by its labels in order, ``__name__`` included."""


def series_key(name: str, labels: Mapping[str, str]) -> SeriesKey:
    """Return the key of a router's series."""
    every = {"__name__": name, "job": "router", **_GROUP_LABELS.get(name, {}), **labels}
    return tuple(sorted(every.items()))


@dataclass(frozen=True)
class SeriesFilter:
    """The selectors of all queries that may be sent while a step is live."""

    selectors: frozenset[Selector]

    def includes(self, key: SeriesKey) -> bool:
        """Return True when a selector matches the series with these labels."""
        labels = dict(key)
        name = labels["__name__"]
        return any(
            all(_matches(matcher, labels) for matcher in selector.matchers)
            for selector in self.selectors
            if selector.metric == name
        )


def step_series(plan: RolloutPlan, index: int) -> SeriesFilter:
    """Return the series that the rules of a step read, and the checklist of the next one."""
    selectors: set[Selector] = set()
    for gate in _readable_gates(plan, index):
        for promql in _queries(gate, plan.metrics[gate.metric]):
            selectors.update(parse_selectors(promql).selectors)
    return SeriesFilter(frozenset(selectors))


def _readable_gates(plan: RolloutPlan, index: int) -> Iterator[Gate]:
    step = plan.steps[index]
    yield from (*step.gates, *step.red_flags)
    if step.record_baseline:
        yield from plan.baselines
    for following in plan.steps[index : index + 2]:
        yield from (item.gate for item in following.checklist if item.gate is not None)


def _queries(gate: Gate, metric: Metric) -> Iterator[str]:
    """Yield the queries of a gate; control's too, with which the treatment's are compared."""
    cohorts: set[Cohort] = {gate.cohort, "control"}
    if gate.kind is GateKind.STATISTICAL and metric.statistic is not None:
        for cohort in COHORTS:
            for selector in metric.statistic.counters().values():
                yield render_selector(selector, metric.cohorts.pattern(cohort))
        if (gauge := counted_since_selector(metric.statistic)) is not None:
            yield gauge
        return
    for cohort in sorted(cohorts):
        if cohort == gate.cohort or gate.kind is GateKind.CONTROL:
            yield metric.value_query(gate, cohort)
        if (counting := metric.samples_query(gate, cohort)) is not None:
            yield counting


def _matches(matcher: Matcher, labels: dict[str, str]) -> bool:
    """Return True when Prometheus would match; a label that is absent is empty."""
    value = labels.get(matcher.label, "")
    is_regex = matcher.operator.endswith("~")
    equal = bool(re.fullmatch(matcher.value, value)) if is_regex else matcher.value == value
    return equal is not matcher.operator.startswith("!")
