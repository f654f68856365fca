"""Lookahead: the next time at which the red-flag watch has a finding.

The real watch checks every few seconds for four weeks. A rehearsal reads every recorded tick of every
red flag in a few range queries, judges them all, and wakes the watch at the next finding.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np

from sluice.rehearsal.lookahead.batch_evidence import evaluate_ahead
from sluice.rehearsal.lookahead.blindness_ahead import next_blindness
from sluice.rehearsal.lookahead.gate_columns import (
    EpochSpan,
    read_column,
    reference_column,
    tick_queries,
)
from sluice.rehearsal.lookahead.vectorized_judge import (
    OutcomeCodes,
    firing_mask,
    judge_column,
    prefilter,
)
from sluice.rehearsal.lookahead.watch_spec import Breach, WatchSpec, has_both_cohorts
from sluice.rehearsal.timeline.timeline import StepEntry, Timeline
from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.sequential_state import SequentialState


def next_breach(timeline: Timeline, spec: WatchSpec, now: datetime, until: datetime) -> Breach:
    """Return the first tick from ``now`` on at which a red flag fires or is blind, or ``until``.

    The breach carries the evidence of the statistical red flags shortly before.
    """
    fired = dict(_first_threshold_breaches(timeline, spec, now, until))
    blind = next_blindness(timeline, spec, now, min(fired.values(), default=until))
    if blind is not None:
        fired[blind.name] = blind.at
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
        evidence = evaluate_ahead(timeline, gate, spec.metrics[gate.metric], exposure, at)
        tracks[gate.name] = evidence.track
        if evidence.failed_at is not None and not gate.dry_run:
            fired[gate.name] = max(now, evidence.failed_at)
            at = min(at, fired[gate.name])
    names = tuple(name for name, when in fired.items() if when == at)
    return Breach(at, names, tracks, blind.since if blind else {})


def _first_threshold_breaches(
    timeline: Timeline, spec: WatchSpec, now: datetime, until: datetime
) -> Iterator[tuple[str, datetime]]:
    """Return the first breach of each threshold red flag, by name."""
    entry, begin = timeline.locate(now)
    tick = entry.recording.tick_seconds
    ticks = max(1, int((until - now).total_seconds() / tick))
    flags = [
        gate
        for gate in spec.red_flags
        if not gate.dry_run and gate.kind is not GateKind.STATISTICAL
    ]
    end = begin + ticks * tick
    for gate in _gates_to_judge(flags, spec, timeline, (begin, end)):
        row = math.ceil(gate.consecutive * gate.window.total_seconds() / tick)
        before = min(row, round((begin - entry.recording.base_epoch) / tick))
        span = (begin - before * tick, end)
        codes = _judge_span(gate, spec, timeline, span)
        fired = np.flatnonzero(firing_mask(gate, codes, tick)[before:])
        if len(fired):
            yield gate.name, max(now, _to_timeline_time(entry, begin + int(fired[0]) * tick))


def _gates_to_judge(
    flags: Sequence[Gate], spec: WatchSpec, timeline: Timeline, span: EpochSpan
) -> Iterator[Gate]:
    """Read the red flags whose every reading must be judged.

    Prometheus filters for readings beyond the limit. Over four weeks its answer is nearly always
    empty, and a gate without such readings does not fail.
    """
    recording = timeline.entries[-1].recording
    violation_queries = {gate.name: violation_query(gate, spec) for gate in flags}
    recording.readings.prefetch([query for query in violation_queries.values() if query], span[1])
    suspects = [
        gate
        for gate in flags
        if (query := violation_queries[gate.name]) is None
        or np.isfinite(recording.readings.tick_values(query, *span)).any()
    ]
    recording.readings.prefetch(list(gate_queries(suspects, spec)), span[1])
    yield from suspects


def violation_query(gate: Gate, spec: WatchSpec) -> str | None:
    """Return PromQL for the readings beyond the limit; None when others may fail too."""
    comparison_and_limit = prefilter(gate, spec.baseline.get(gate.metric))
    if comparison_and_limit is None:
        return None
    promql, *_ = tick_queries(gate, spec.metrics[gate.metric], gate.cohort)
    comparison, limit = comparison_and_limit
    return f"({promql}) {comparison} {limit!r}"


def gate_queries(gates: Sequence[Gate], spec: WatchSpec) -> Iterator[str]:
    for gate in gates:
        metric = spec.metrics[gate.metric]
        yield from tick_queries(gate, metric, gate.cohort)
        if gate.kind is GateKind.CONTROL:
            yield from tick_queries(gate, metric, "control")


def _to_timeline_time(entry: StepEntry, epoch: float) -> datetime:
    return entry.at + timedelta(seconds=epoch - entry.recording.entry_epoch)


def _judge_span(gate: Gate, spec: WatchSpec, timeline: Timeline, span: EpochSpan) -> OutcomeCodes:
    column = read_column(gate, spec, timeline, span, gate.cohort)
    return judge_column(gate, column, reference_column(gate, spec, timeline, span))
