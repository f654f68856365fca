"""A gate's readings at every tick of a span, as columns."""

from collections.abc import Iterator

import numpy as np

from sluice.rehearsal.lookahead.vectorized_judge import SampleColumn
from sluice.rehearsal.lookahead.watch_spec import WatchSpec
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Gate, GateKind, Metric, slope_query

EpochSpan = tuple[float, float]


def tick_queries(gate: Gate, metric: Metric, cohort: Cohort) -> Iterator[str]:
    """Return the queries of each tick: the value and, if defined, the sample count."""
    promql = metric.value_query(gate, cohort)
    yield slope_query(promql, gate) if gate.kind is GateKind.TREND else promql
    if counting := metric.samples_query(gate, cohort):
        yield counting


def reference_column(
    gate: Gate, spec: WatchSpec, timeline: Timeline, span: EpochSpan
) -> SampleColumn | None:
    if gate.kind is GateKind.CONTROL:
        return read_column(gate, spec, timeline, span, "control")
    recorded = spec.baseline.get(gate.metric)
    if gate.kind is not GateKind.BASELINE or recorded is None:
        return None
    value = np.nan if recorded.value is None else recorded.value
    samples = None if recorded.samples is None else np.array([recorded.samples])
    return SampleColumn(np.array([value]), samples)


def read_column(
    gate: Gate, spec: WatchSpec, timeline: Timeline, span: EpochSpan, cohort: Cohort
) -> SampleColumn:
    recording = timeline.entries[-1].recording
    promql, *counting = tick_queries(gate, spec.metrics[gate.metric], cohort)
    fresh = recording.sample_ages(*span) <= timeline.plan.stale_after.total_seconds()
    values = np.where(fresh, recording.readings.tick_values(promql, *span), np.nan)
    return SampleColumn(
        values, recording.readings.tick_values(counting[0], *span) if counting else None
    )
