"""Lookahead: the next time at which the red-flag watch has a finding.

The real watch checks every few seconds for four weeks. A rehearsal reads every recorded tick of every
red flag in a few range queries, judges them all, and wakes the watch at the next finding.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np

from sluice.rehearsal.lookahead.batch_evidence import evaluate_ahead
from sluice.rehearsal.lookahead.vectorized_judge import (
    OutcomeCodes,
    SampleColumn,
    firing_mask,
    judge_column,
    prefilter,
)
from sluice.rehearsal.lookahead.watch_spec import Breach, WatchSpec, has_both_cohorts
from sluice.rehearsal.timeline.timeline import StepEntry, Timeline
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Gate, GateKind, Metric, slope_query
from sluice.rollout.analysis.sequential_state import SequentialState

EpochSpan = tuple[float, float]


def next_breach(timeline: Timeline, spec: WatchSpec, now: datetime, until: datetime) -> Breach:
    """Return the first tick from ``now`` on at which a red flag fires, or ``until``.

    The breach carries the evidence of the statistical red flags shortly before.
    """
    fired = dict(_first_threshold_breaches(timeline, spec, now, until))
    at = min(fired.values(), default=until)
    tracks: dict[str, SequentialState] = {}
    exposure = spec.evidence_context
    for gate in spec.red_flags:
        if (
            gate.kind is not GateKind.STATISTICAL
            or exposure is None
            or not has_both_cohorts(exposure)
        ):
            continue
        weighed = evaluate_ahead(timeline, gate, spec.metrics[gate.metric], exposure, at)
        tracks[gate.name] = weighed.track
        if weighed.failed_at is not None and not gate.dry_run:
            fired[gate.name] = max(now, weighed.failed_at)
            at = min(at, fired[gate.name])
    return Breach(at, tuple(name for name, when in fired.items() if when == at), tracks)


def _first_threshold_breaches(
    course: Timeline, guarded: WatchSpec, now: datetime, until: datetime
) -> Iterator[tuple[str, datetime]]:
    """Return the first breach of each threshold red flag, by name."""
    entry, begin = course.locate(now)
    tick = entry.recording.tick_seconds
    ticks = max(1, int((until - now).total_seconds() / tick))
    flags = [
        gate
        for gate in guarded.red_flags
        if not gate.dry_run and gate.kind is not GateKind.STATISTICAL
    ]
    end = begin + ticks * tick
    for gate in _gates_to_judge(flags, guarded, course, (begin, end)):
        row = math.ceil(gate.consecutive * gate.window.total_seconds() / tick)
        before = min(row, round((begin - entry.recording.base_epoch) / tick))
        span = (begin - before * tick, end)
        codes = _judge_span(gate, guarded, course, span)
        fired = np.flatnonzero(firing_mask(gate, codes, tick)[before:])
        if len(fired):
            yield gate.name, max(now, _to_timeline_time(entry, begin + int(fired[0]) * tick))


def _gates_to_judge(
    flags: Sequence[Gate], guarded: WatchSpec, course: Timeline, span: EpochSpan
) -> Iterator[Gate]:
    """Read the red flags whose every reading must be judged.

    Prometheus filters for readings beyond the limit. Over four weeks its answer is nearly always
    empty, and a gate without such readings does not fail.
    """
    tape = course.entries[-1].recording
    screens = {gate.name: violation_query(gate, guarded) for gate in flags}
    tape.readings.prefetch([one for one in screens.values() if one], span[1])
    suspects = [
        gate
        for gate in flags
        if (screen := screens[gate.name]) is None
        or np.isfinite(tape.readings.tick_values(screen, *span)).any()
    ]
    tape.readings.prefetch(list(gate_queries(suspects, guarded)), span[1])
    yield from suspects


def violation_query(gate: Gate, spec: WatchSpec) -> str | None:
    """Return PromQL for the readings beyond the limit; None when others may fail too."""
    screened = prefilter(gate, spec.baseline.get(gate.metric))
    if screened is None:
        return None
    promql, *_ = _tick_queries(gate, spec.metrics[gate.metric], gate.cohort)
    comparison, limit = screened
    return f"({promql}) {comparison} {limit!r}"


def _tick_queries(gate: Gate, metric: Metric, cohort: Cohort) -> Iterator[str]:
    """Return the queries of each tick: the value and, if defined, the sample count."""
    promql = metric.value_query(gate, cohort)
    yield slope_query(promql, gate) if gate.kind is GateKind.TREND else promql
    if counting := metric.samples_query(gate, cohort):
        yield counting


def gate_queries(gates: Sequence[Gate], spec: WatchSpec) -> Iterator[str]:
    for gate in gates:
        metric = spec.metrics[gate.metric]
        yield from _tick_queries(gate, metric, gate.cohort)
        if gate.kind is GateKind.CONTROL:
            yield from _tick_queries(gate, metric, "control")


def _to_timeline_time(entry: StepEntry, epoch: float) -> datetime:
    return entry.at + timedelta(seconds=epoch - entry.recording.entry_epoch)


def _judge_span(gate: Gate, guarded: WatchSpec, course: Timeline, span: EpochSpan) -> OutcomeCodes:
    column = _read_column(gate, guarded, course, span, gate.cohort)
    return judge_column(gate, column, _reference_column(gate, guarded, course, span))


def _reference_column(
    gate: Gate, guarded: WatchSpec, course: Timeline, span: EpochSpan
) -> SampleColumn | None:
    if gate.kind is GateKind.CONTROL:
        return _read_column(gate, guarded, course, span, "control")
    recorded = guarded.baseline.get(gate.metric)
    if gate.kind is not GateKind.BASELINE or recorded is None:
        return None
    value = np.nan if recorded.value is None else recorded.value
    samples = None if recorded.samples is None else np.array([recorded.samples])
    return SampleColumn(np.array([value]), samples)


def _read_column(
    gate: Gate, guarded: WatchSpec, course: Timeline, span: EpochSpan, cohort: Cohort
) -> SampleColumn:
    tape = course.entries[-1].recording
    promql, *counting = _tick_queries(gate, guarded.metrics[gate.metric], cohort)
    fresh = tape.sample_ages(*span) <= course.plan.stale_after.total_seconds()
    values = np.where(fresh, tape.readings.tick_values(promql, *span), np.nan)
    return SampleColumn(values, tape.readings.tick_values(counting[0], *span) if counting else None)
