"""The red-flag watch: every few seconds, for as long as the step is exposed."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity

from activities.contract.errors import FlagsUnreachableError
from activities.contract.heartbeat import heartbeating
from activities.contract.models import WatchCheckpoint, WatchRequest, WatchResult
from activities.contract.ports import Flags, MetricsProvider
from activities.measuring.blindness import (
    BLIND,
    blind_finding,
    unwatched_finding,
    update_verdict_times,
)
from activities.measuring.cohort_presence import (
    VANISHED,
    CohortSamples,
    control_seen_at,
    vanished_finding,
)
from activities.measuring.finding_guard import guard_finding
from activities.measuring.flag_drift import flag_finding
from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator
from activities.measuring.server_clock import ServerClock
from sluice.rollout.analysis.failure_runs import is_lasting, update_failure_runs
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.state import Finding

FLAG_SECONDS_MAX = 2.0
POLL_SECONDS_MAX = 5.0
READINGS_MAX = 20
HEARTBEAT_SECONDS = 1.0
TURN_GRID_SECONDS = 0.25
"""Watches whose turns begin at the same moment share their requests, and one read of the flags."""


@dataclass(frozen=True)
class WatchActivities:
    """Measures red flags and reads the stored flag; decides nothing."""

    metrics: MetricsProvider
    flags: Flags
    clock: Callable[[], datetime] | None = None
    """The time of readings; None: the time of Temporal's server."""

    @activity.defn(name="watch_red_flags")
    async def watch(self, request: WatchRequest) -> WatchResult:
        """Return as soon as a red flag fires or the stored flag isn't what it must be.

        If the rollout does not act on a P0 within seconds, the flag is killed from here.

        Until then the watch continues, whatever is out of reach. Missing data fires nothing at once
        (unless the red flag has ``on_no_data: fail``). After ``blind_after`` it is a finding. The
        heartbeat carries the problem, the counts of consecutive failures and the statistical
        evidence, so that another worker continues from there. With statistical red flags the watch
        hands its evidence over after each shift. Cancelling ends it.
        """
        watch = RedFlagWatch(self, request, _last_checkpoint())
        async with heartbeating(lambda: watch.checkpoint, HEARTBEAT_SECONDS):
            finding = await watch.run_until_finding()
        if finding is not None:
            guard_finding(self.flags, request, finding)
        return WatchResult(finding=finding, sequential_states=watch.checkpoint.sequential_states)


def _last_checkpoint() -> WatchCheckpoint:
    details = activity.info().heartbeat_details
    return WatchCheckpoint.model_validate(details[0]) if details else WatchCheckpoint()


class RedFlagWatch:
    """One run of the watch, with what it must remember between its turns."""

    def __init__(
        self, ports: WatchActivities, request: WatchRequest, checkpoint: WatchCheckpoint
    ) -> None:
        self._ports = ports
        self._request = request
        self._gates = [
            gate for gate in request.red_flags if gate.name not in request.muted_findings
        ]
        self.checkpoint = checkpoint
        self._clock = ports.clock or ServerClock(activity.info().started_time)

    async def run_until_finding(self) -> Finding | None:
        """Poll until a finding and return it; return None at the end of the shift."""
        loop = asyncio.get_running_loop()
        hands_over_at = loop.time() + self._request.handover_seconds
        while self._request.evidence_context is None or loop.time() < hands_over_at:
            next_turn_at = _align(loop.time() + self._request.interval_seconds)
            if finding := await self.poll_once():
                return finding
            await asyncio.sleep(max(0.0, next_turn_at - loop.time()))
        return None

    def _evaluation_context(self) -> EvaluationContext:
        request, exposure = self._request, self._request.evidence_context
        if exposure is not None:
            tracks = {**exposure.sequential_states, **self.checkpoint.sequential_states}
            exposure = exposure.model_copy(update={"sequential_states": tracks})
        return EvaluationContext(
            metrics=request.metrics,
            baseline=request.baseline,
            evidence_context=exposure,
            stale_after=request.stale_after,
            live_since=request.live_since,
            share=None if request.percentage is None else request.percentage / 100,
        )

    async def poll_once(self) -> Finding | None:
        now = self._clock()
        last_poll_at = self.checkpoint.at
        evaluator = GateEvaluator(
            self._ports.metrics, now, self._evaluation_context(), POLL_SECONDS_MAX
        )
        # Side by side: one that is slow mustn't add to the other.
        flag, verdicts, samples = await asyncio.gather(
            self._poll_flag(now),
            evaluator.evaluate(self._gates),
            evaluator.count_cohorts(self._gates),
        )
        self.checkpoint = WatchCheckpoint(
            at=now,
            poll_count=self.checkpoint.poll_count + 1,
            interval_seconds=self._request.interval_seconds,
            late_seconds=self._record_lateness(last_poll_at, now),
            failure_runs=update_failure_runs(
                self.checkpoint.failure_runs, zip(self._gates, verdicts, strict=True), now
            ),
            flag_drift_count=self._count_flag_drift(flag),
            verdict_times=update_verdict_times(self.checkpoint.verdict_times, verdicts, now),
            control_seen_at=control_seen_at(self.checkpoint.control_seen_at, samples, now),
            readings=tuple(verdict.reason for verdict in verdicts[:READINGS_MAX]),
            problem=flag.problem or _first_error(verdicts),
            sequential_states={**self.checkpoint.sequential_states, **evaluator.sequential_states},
        )
        findings = [
            *self._findings(flag, verdicts, now),
            *self._unseen_findings(last_poll_at, samples, now),
        ]
        return min(findings, key=_severity, default=None)

    def _record_lateness(self, last_poll_at: datetime | None, now: datetime) -> float:
        """Return the seconds by which this turn came too late, and put them into the metrics."""
        interval = timedelta(seconds=self._request.interval_seconds)
        due_at = now if last_poll_at is None else last_poll_at + interval
        late = max(now - due_at, timedelta(0))
        meter = activity.metric_meter()
        meter.create_histogram_timedelta(
            "sluice_watch_lateness", "Time by which a turn of a red-flag watch came too late"
        ).record(late)
        return late.total_seconds()

    def _unseen_findings(
        self, last_poll_at: datetime | None, samples: CohortSamples | None, now: datetime
    ) -> Iterator[Finding]:
        request, limit = self._request, self._request.blind_after
        if limit is None or not self._gates:
            return
        if finding := unwatched_finding(last_poll_at, now, limit):
            yield finding
        limits = (limit, request.blind_severity)
        finding = vanished_finding(samples, self.checkpoint.control_seen_at, limits, now)
        if finding and VANISHED not in request.muted_findings:
            yield finding

    async def _poll_flag(self, now: datetime) -> "_FlagObservation":
        request = self._request
        if request.percentage is None and not request.run_id:
            return _FlagObservation()
        try:
            async with asyncio.timeout(FLAG_SECONDS_MAX):
                stored = await self._ports.flags.read(request.environment, request.flag)
                askers = await self._read_askers()
        except (FlagsUnreachableError, TimeoutError) as error:
            # The routers turn themselves off when their lease is over: nothing to report.
            return _FlagObservation(problem=f"flag store: {error or 'no answer'}", is_known=False)
        finding = flag_finding(request, stored, now, askers)
        return _FlagObservation(
            finding if finding and finding.name not in request.muted_findings else None
        )

    async def _read_askers(self) -> tuple[str, ...]:
        """Return the processes that ask for the flag after its deletion."""
        request = self._request
        if not request.finds_askers:
            return ()
        return await self._ports.flags.askers(request.environment, request.flag)

    def _count_flag_drift(self, flag: "_FlagObservation") -> int:
        """Count the turns in a row in which the flag differed; an unreadable flag changes nothing."""
        if not flag.is_known:
            return self.checkpoint.flag_drift_count
        return self.checkpoint.flag_drift_count + 1 if flag.finding else 0

    def _findings(
        self, flag: "_FlagObservation", verdicts: tuple[Verdict, ...], now: datetime
    ) -> Iterator[Finding]:
        for gate, verdict in zip(self._gates, verdicts, strict=True):
            lasting = is_lasting(gate, self.checkpoint.failure_runs)
            if verdict.outcome is Outcome.FAILED and lasting and not gate.dry_run:
                yield Finding(
                    name=gate.name, kind="red_flag", verdict=verdict, gate=gate, seen_at=now
                )
        # A difference must last: a turn may begin before the rollout's own change, and end after.
        if flag.finding and (flag.finding.kind == "killed" or self.checkpoint.flag_drift_count > 1):
            yield flag.finding
        if blind := self._blind_finding(verdicts, now):
            yield blind

    def _blind_finding(self, verdicts: tuple[Verdict, ...], now: datetime) -> Finding | None:
        request = self._request
        if request.blind_after is None or BLIND in request.muted_findings:
            return None
        return blind_finding(
            zip(self._gates, verdicts, strict=True),
            self.checkpoint.verdict_times,
            (request.blind_after, request.blind_severity),
            now,
        )


@dataclass(frozen=True)
class _FlagObservation:
    """One reading of the flag in the store; ``is_known`` is False when the store did not answer."""

    finding: Finding | None = None
    problem: str = ""
    is_known: bool = True


def _align(seconds: float) -> float:
    """Return the last moment of the grid that all watches of the worker share."""
    return seconds - seconds % TURN_GRID_SECONDS


def _severity(finding: Finding) -> str:
    return finding.verdict.severity


def _first_error(verdicts: tuple[Verdict, ...]) -> str:
    return next((v.reason for v in verdicts if v.outcome is Outcome.ERROR), "")
