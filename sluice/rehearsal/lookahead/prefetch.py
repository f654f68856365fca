"""Prefetch of the recordings and readings of a rollout without faults.

Prometheus needs as long for a rehearsal's samples and ranges as the workflow for its steps. A correct
prediction makes the step's data available on entry; a wrong one is discarded.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.rehearsal.errors import PrometheusFailedError
from sluice.rehearsal.lookahead.batch_evidence import block_queries, evaluate_ahead
from sluice.rehearsal.lookahead.lookahead import gate_queries, violation_query
from sluice.rehearsal.lookahead.watch_spec import WatchSpec, has_both_cohorts
from sluice.rehearsal.timeline.timeline import Timeline, expected_duration
from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.plan.schema import Step

STEPS_AHEAD = 2


@dataclass
class Prefetcher:
    """Thread that prefetches for one timeline at a time."""

    _stop_event: Event | None = None

    def start(self, timeline: Timeline, baseline: Mapping[str, Reading]) -> None:
        """Prefetch from the current time of the course; drop earlier work."""
        self.stop()
        self._stop_event = Event()
        shadow = copy(timeline)
        shadow.entries = list(timeline.entries)
        work = prefetch_steps(shadow, baseline)
        Thread(target=_run_until_stopped, args=(work, self._stop_event), daemon=True).start()

    def prefetch_evidence(
        self, timeline: Timeline, spec: WatchSpec, span: tuple[datetime, datetime]
    ) -> None:
        """Evaluate the red flags of the next watch, with its evidence."""
        Thread(target=_prefetch_evidence, args=(timeline, spec, *span), daemon=True).start()

    def stop(self) -> None:
        """Stop after the current piece of work."""
        if self._stop_event is not None:
            self._stop_event.set()


def _run_until_stopped(work: Iterator[None], ended: Event) -> None:
    with suppress(PrometheusFailedError):  # the reader of the data gets this error
        for _ in work:
            if ended.is_set():
                return


def _prefetch_evidence(timeline: Timeline, spec: WatchSpec, now: datetime, until: datetime) -> None:
    exposure = spec.evidence_context
    if exposure is None or not has_both_cohorts(exposure):
        return
    with suppress(PrometheusFailedError):  # the reader of the data gets this error
        for flag in spec.red_flags:
            if flag.kind is GateKind.STATISTICAL:
                metric = spec.metrics[flag.metric]
                evaluate_ahead(timeline, flag, metric, exposure, until + (until - now))


def prefetch_steps(timeline: Timeline, baseline: Mapping[str, Reading]) -> Iterator[None]:
    """Enter the next steps, record them and run their queries, piece by piece."""
    steps, number = timeline.plan.steps, timeline.plan.steps.index(timeline.entries[-1].step)
    for index in range(number, min(number + 1 + STEPS_AHEAD, len(steps))):
        if index > number:
            timeline.enter_step(index, expected_exit(timeline, steps[index]))
            yield
        if index + 1 < len(steps):
            yield from _record_step(timeline, expected_exit(timeline, steps[index + 1]))
        yield from _prefetch_queries(timeline, baseline)


def _record_step(timeline: Timeline, until: datetime) -> Iterator[None]:
    """Record the last step for as long as a rollout without faults stays in it."""
    entry = timeline.entries[-1]
    end = entry.recording.entry_epoch + (until - entry.at).total_seconds()
    while entry.recording.end_epoch < end:
        entry.recording.record_until(entry.recording.end_epoch + entry.recording.tick_seconds)
        yield


def expected_exit(timeline: Timeline, following: Step) -> datetime:
    """Return the time at which a rollout without faults leaves the last step."""
    entry, since = timeline.entries[-1], _percentage_reached_at(timeline)
    item_due_times = (since + item.at_least for item in following.checklist if item.at_least)
    return max(entry.at + expected_duration(entry.step), *item_due_times, entry.at)


def _percentage_reached_at(timeline: Timeline) -> datetime:
    """Return the time at which the percentage of the last step was first reached."""
    since, reached = timeline.begin, 0.0
    for entry in timeline.entries:
        now = reached if entry.step.percentage is None else entry.step.percentage
        since, reached = (since, reached) if now == reached else (entry.at, now)
    return since


def _prefetch_queries(timeline: Timeline, baseline: Mapping[str, Reading]) -> Iterator[None]:
    """Run the queries of the last step, a few requests at a time."""
    plan, step = timeline.plan, timeline.entries[-1].step
    spec = WatchSpec(step.red_flags, plan.metrics, baseline, plan.watch_interval.total_seconds())
    has_two_cohorts = 0 < timeline.percentage < FULL_PERCENTAGE
    for gates, prefetch, prefetch_evidence in (
        (step.red_flags, _prefetch_red_flag, _prefetch_statistical_red_flag),
        (step.gates, _prefetch_gate, _prefetch_statistical_gate),
    ):
        for gate in gates:
            if gate.kind is not GateKind.STATISTICAL:
                prefetch(timeline, gate, spec)
            elif has_two_cohorts:
                prefetch_evidence(timeline, gate)
            yield


def _prefetch_red_flag(timeline: Timeline, flag: Gate, spec: WatchSpec) -> None:
    recording = timeline.entries[-1].recording
    if not flag.dry_run and (query := violation_query(flag, spec)):
        recording.readings.prefetch([query], recording.end_epoch)


def _prefetch_statistical_red_flag(timeline: Timeline, flag: Gate) -> None:
    queries = _statistic_queries(timeline, flag, resets=False)
    recording = timeline.entries[-1].recording
    recording.readings.prefetch_columns(queries, recording.entry_epoch, flag.window.total_seconds())


def _prefetch_gate(timeline: Timeline, gate: Gate, spec: WatchSpec) -> None:
    """Read the gate's checks from the time on at which its whole window is live."""
    step, recording = timeline.entries[-1].step, timeline.entries[-1].recording
    delay = max(step.initial_delay + step.interval, gate.window)
    first = recording.entry_epoch + delay.total_seconds()
    for promql in gate_queries([gate], spec):
        recording.readings.prefetch_at(promql, first, step.interval.total_seconds())


def _prefetch_statistical_gate(timeline: Timeline, gate: Gate) -> None:
    recording, seconds = timeline.entries[-1].recording, gate.window.total_seconds()
    for promql in _statistic_queries(timeline, gate, resets=True):
        recording.readings.prefetch_at(promql, recording.entry_epoch + seconds, seconds)


def _statistic_queries(timeline: Timeline, gate: Gate, *, resets: bool) -> list[str]:
    """Return the queries of each block of a statistical gate."""
    metric = timeline.plan.metrics[gate.metric]
    queries = block_queries(metric, gate.window, timeline.plan.stale_after, resets=resets)
    return list(queries.values())
