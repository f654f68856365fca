"""Lookahead for blindness: the next time at which red flags have been without a verdict too long.

A gate can only be blind where nothing is scraped, where a fault breaks its readings, or where its
query gives nothing at all. So only such gates are read at every tick.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from activities.measuring.blindness import BLIND
from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.lookahead.gate_columns import read_column, reference_column, tick_queries
from sluice.rehearsal.lookahead.watch_spec import WatchSpec
from sluice.rehearsal.timeline.timeline import StepEntry, Timeline
from sluice.rehearsal.traffic.scenario import FaultKind
from sluice.rollout.analysis.gate import RELATIVE_KINDS, Gate, GateKind

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Blindness:
    """The time at which red flags are blind, and the time since which each of them is."""

    at: datetime
    since: dict[str, datetime] = field(default_factory=dict)

    name = BLIND


def next_blindness(
    timeline: Timeline, spec: WatchSpec, now: datetime, until: datetime
) -> Blindness | None:
    """Return the first blindness from ``now`` to before ``until``; None without one."""
    if spec.blind_after is None:
        return None
    entry, _ = timeline.locate(now)
    span = _span(entry, spec, now, until)
    blind = {
        gate.name: since
        for gate in spec.red_flags
        if not gate.dry_run and gate.kind is not GateKind.STATISTICAL
        for since in _blind_since(timeline, entry, gate, spec, span)
    }
    if not blind:
        return None
    first = min(blind.values())
    at = max(now, first + spec.blind_after)
    return Blindness(at, {name: since for name, since in blind.items() if since == first})


def _span(entry: StepEntry, spec: WatchSpec, now: datetime, until: datetime) -> tuple[int, int]:
    """Return the ticks since the entry that matter: also those shortly before ``now``."""
    tick, limit = entry.recording.tick_seconds, spec.blind_after or timedelta(0)
    watched_since = max(spec.since or entry.at, entry.at)
    first = max(watched_since, now - limit - timedelta(seconds=tick))
    begin = int((first - entry.at).total_seconds() // tick)
    return max(begin, 0), int((until - entry.at).total_seconds() // tick)


def _blind_since(
    timeline: Timeline, entry: StepEntry, gate: Gate, spec: WatchSpec, span: tuple[int, int]
) -> Iterator[datetime]:
    """Yield the begin of the gate's first time without a verdict that lasts for the limit."""
    assert spec.blind_after is not None  # noqa: S101  the caller has looked
    tick = entry.recording.tick_seconds
    ticks_needed = int(spec.blind_after.total_seconds() // tick) + 1
    unmeasured = _unmeasured_mask(timeline, entry, gate, spec, span)
    if len(unmeasured) < ticks_needed:
        return
    in_span = np.convolve(unmeasured, np.ones(ticks_needed), mode="valid")
    starts = np.flatnonzero(np.round(in_span) == ticks_needed)
    if len(starts):
        yield entry.at + timedelta(seconds=(span[0] + int(starts[0])) * tick)


def _unmeasured_mask(
    timeline: Timeline, entry: StepEntry, gate: Gate, spec: WatchSpec, span: tuple[int, int]
) -> Mask:
    """Return the ticks at which the gate has no verdict, as ``judge`` marks them."""
    recording = entry.recording
    begin, end = (recording.entry_epoch + ticks * recording.tick_seconds for ticks in span)
    ages = recording.sample_ages(begin, end)
    stale: Mask = ~(ages <= timeline.plan.stale_after.total_seconds())
    if not _may_lack_data(timeline, entry, gate, spec):
        return stale
    column = read_column(gate, spec, timeline, (begin, end), gate.cohort)
    missing = ~np.isfinite(column.values)
    if column.samples is not None:
        missing &= column.samples != 0
    if gate.kind in RELATIVE_KINDS:
        reference = reference_column(gate, spec, timeline, (begin, end))
        values: Floats = np.array([np.nan]) if reference is None else reference.values
        missing |= np.isfinite(column.values) & ~np.isfinite(values)
    return stale | missing


def _may_lack_data(timeline: Timeline, entry: StepEntry, gate: Gate, spec: WatchSpec) -> bool:
    """Return True where a fault breaks readings, or where the query gave nothing in this step."""
    if any(fault.kind is FaultKind.NAN for fault in timeline.scenario.faults):
        return True
    key = ("lacks data", entry.recording.base_epoch, gate.model_dump_json())
    if key not in timeline.evidence_cache:
        timeline.evidence_cache[key] = _gives_nothing(entry, gate, spec)
    return bool(timeline.evidence_cache[key])


def _gives_nothing(entry: StepEntry, gate: Gate, spec: WatchSpec) -> bool:
    recording, limit = entry.recording, spec.blind_after or timedelta(0)
    check_epoch = recording.entry_epoch + (limit + gate.window).total_seconds()
    at = min(recording.tick_of(check_epoch), recording.tick_of(recording.end_epoch) - 1)
    time = np.array([recording.base_epoch + at * recording.tick_seconds])
    promql, *_ = tick_queries(gate, spec.metrics[gate.metric], gate.cohort)
    return not bool(np.isfinite(recording.client.read(promql, time, recording.tick_seconds)).all())
