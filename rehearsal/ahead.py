"""Looking ahead: the next moment at which the red-flag watch would find something.

The real watch looks every few seconds for four weeks. A rehearsal reads every recorded tick of every
red flag in a few range queries, judges them all, and wakes the watch when there is something to see.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np

from rehearsal.course import Course, Entry
from rehearsal.evidence import weigh_ahead
from rehearsal.guarded import Breach, Guarded, compares
from rehearsal.judging import Codes, Column, fires, outcomes, screen
from rollout.gate import Cohort, Gate, GateKind, Metric, expression, slope
from rollout.track import Track

Span = tuple[float, float]


def next_breach(course: Course, guarded: Guarded, now: datetime, until: datetime) -> Breach:
    """Give the first tick from ``now`` on at which a red flag fires; ``until`` when none does.

    ``tracks`` is the evidence of the statistical ones shortly before.
    """
    fired = dict(_fixed(course, guarded, now, until))
    at = min(fired.values(), default=until)
    tracks: dict[str, Track] = {}
    exposure = guarded.exposure
    for gate in guarded.red_flags:
        if gate.kind is not GateKind.STATISTICAL or exposure is None or not compares(exposure):
            continue
        weighed = weigh_ahead(course, gate, guarded.metrics[gate.metric], exposure, at)
        tracks[gate.name] = weighed.track
        if weighed.failed_at is not None and not gate.dry_run:
            fired[gate.name] = max(now, weighed.failed_at)
            at = min(at, fired[gate.name])
    return Breach(at, tuple(name for name, when in fired.items() if when == at), tracks)


def _fixed(
    course: Course, guarded: Guarded, now: datetime, until: datetime
) -> Iterator[tuple[str, datetime]]:
    """When each red flag that isn't statistical fires first, by name."""
    entry, begin = course.recorded(now)
    tick = entry.tape.tick
    ticks = max(1, int((until - now).total_seconds() / tick))
    turns = max(1, int(tick / guarded.interval_seconds))
    flags = [
        gate
        for gate in guarded.red_flags
        if not gate.dry_run and gate.kind is not GateKind.STATISTICAL
    ]
    end = begin + ticks * tick
    for gate in _suspects(flags, guarded, course, (begin, end)):
        before = min(gate.consecutive, round((begin - entry.tape.base) / tick))
        span = (begin - before * tick, end)
        codes = _codes(gate, guarded, course, span)
        fired = np.flatnonzero(fires(gate, codes, turns)[before:])
        if len(fired):
            yield gate.name, max(now, _time_of(entry, begin + int(fired[0]) * tick))


def _suspects(
    flags: Sequence[Gate], guarded: Guarded, course: Course, span: Span
) -> Iterator[Gate]:
    """The red flags whose every reading has to be looked at, all of them read.

    Prometheus itself is asked when a reading is beyond its limit; for four weeks that is hardly
    ever, and its answer is empty. Where nothing is beyond it nothing fails.
    """
    tape = course.entries[-1].tape
    screens = {gate.name: beyond(gate, guarded) for gate in flags}
    tape.warm([one for one in screens.values() if one], span[1])
    suspects = [
        gate
        for gate in flags
        if (screen := screens[gate.name]) is None
        or np.isfinite(tape.every_tick(screen, *span)).any()
    ]
    tape.warm(list(asked(suspects, guarded)), span[1])
    yield from suspects


def beyond(gate: Gate, guarded: Guarded) -> str | None:
    """PromQL for the readings beyond the gate's limit; None where that isn't all that may fail."""
    screened = screen(gate, guarded.baseline.get(gate.metric))
    if screened is None:
        return None
    promql, *_ = _expressions(gate, guarded.metrics[gate.metric], gate.cohort)
    comparison, limit = screened
    return f"({promql}) {comparison} {limit!r}"


def _expressions(gate: Gate, metric: Metric, cohort: Cohort) -> Iterator[str]:
    """What is read at each tick: the value and, where it has one, the count of its samples."""
    promql = expression(metric.query, gate, cohort)
    yield slope(promql, gate) if gate.kind is GateKind.TREND else promql
    if metric.samples is not None:
        yield expression(metric.samples, gate, cohort)


def asked(gates: Sequence[Gate], guarded: Guarded) -> Iterator[str]:
    for gate in gates:
        metric = guarded.metrics[gate.metric]
        yield from _expressions(gate, metric, gate.cohort)
        if gate.kind is GateKind.CONTROL:
            yield from _expressions(gate, metric, "control")


def _time_of(entry: Entry, epoch: float) -> datetime:
    return entry.at + timedelta(seconds=epoch - entry.tape.entry)


def _codes(gate: Gate, guarded: Guarded, course: Course, span: Span) -> Codes:
    column = _column(gate, guarded, course, span, gate.cohort)
    return outcomes(gate, column, _reference(gate, guarded, course, span))


def _reference(gate: Gate, guarded: Guarded, course: Course, span: Span) -> Column | None:
    if gate.kind is GateKind.CONTROL:
        return _column(gate, guarded, course, span, "control")
    recorded = guarded.baseline.get(gate.metric)
    if gate.kind is not GateKind.BASELINE or recorded is None:
        return None
    value = np.nan if recorded.value is None else recorded.value
    samples = None if recorded.samples is None else np.array([recorded.samples])
    return Column(np.array([value]), samples)


def _column(gate: Gate, guarded: Guarded, course: Course, span: Span, cohort: Cohort) -> Column:
    tape = course.entries[-1].tape
    promql, *counting = _expressions(gate, guarded.metrics[gate.metric], cohort)
    fresh = tape.ages(*span) <= course.plan.stale_after.total_seconds()
    values = np.where(fresh, tape.every_tick(promql, *span), np.nan)
    return Column(values, tape.every_tick(counting[0], *span) if counting else None)
