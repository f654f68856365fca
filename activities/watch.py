"""The red-flag watch: every few seconds, for as long as the step is exposed."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.errors import EffectError, FlagsUnreachableError
from activities.heartbeat import heartbeating
from activities.models import LedgerEntry, WatchEnd, WatchNotes, WatchRequest
from activities.ports import Flags, Ledger, Metrics
from activities.sampling import Known, Sampler
from activities.watch_flag import flag_finding
from rollout.state import Finding
from rollout.verdict import Outcome, Verdict

FLAG_SECONDS_MAX = 2.0
MEASURE_SECONDS_MAX = 5.0
RECORD_SECONDS_MAX = 0.5
NOTES_MAX = 20


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class WatchActivities:
    """Looks at red flags and at the flag itself; decides nothing."""

    metrics: Metrics
    flags: Flags
    ledger: Ledger
    clock: Callable[[], datetime] = utc_now

    @activity.defn(name="watch_red_flags")
    async def watch(self, request: WatchRequest) -> WatchEnd:
        """Return as soon as a red flag fires or the stored flag isn't what it must be.

        Until then it goes on, whatever is out of reach: no data fires nothing (unless the red flag
        says ``on_no_data: fail``), and the heartbeat tells what is wrong. Counts of consecutive
        failures and statistical evidence travel in the heartbeat, so another worker goes on from
        there; with statistical red flags the watch hands its evidence over after each shift.
        Cancelling ends it.
        """
        watch = RedFlagWatch(self, request, _resumed_notes())
        async with heartbeating(lambda: watch.notes):
            finding = await watch.until_something_is_wrong()
        if finding is not None:
            await self._record(request, finding)
        return WatchEnd(finding=finding, tracks=watch.notes.tracks)

    async def _record(self, request: WatchRequest, finding: Finding) -> None:
        """Keep the evidence if the ledger is quick: a rollback never waits for Postgres."""
        entry = LedgerEntry(
            rollout_id=request.rollout_id,
            key=f"finding-{finding.name}-{finding.seen_at.isoformat()}",
            kind="finding",
            at=finding.seen_at,
            body=finding.model_dump_json(),
        )
        try:
            async with asyncio.timeout(RECORD_SECONDS_MAX):
                await self.ledger.append(entry)
        except (EffectError, TimeoutError) as error:
            activity.logger.warning("the finding %s is not in the ledger: %s", finding.name, error)


def _resumed_notes() -> WatchNotes:
    details = activity.info().heartbeat_details
    return WatchNotes.model_validate(details[0]) if details else WatchNotes()


class RedFlagWatch:
    """One run of the watch, with what it must remember between its turns."""

    def __init__(self, ports: WatchActivities, request: WatchRequest, notes: WatchNotes) -> None:
        self._ports = ports
        self._request = request
        self._gates = [gate for gate in request.red_flags if gate.name not in request.noted]
        self.notes = notes

    async def until_something_is_wrong(self) -> Finding | None:
        """The finding; None at the end of the shift."""
        loop = asyncio.get_running_loop()
        hands_over_at = loop.time() + self._request.shift_seconds
        while self._request.exposure is None or loop.time() < hands_over_at:
            next_turn_at = loop.time() + self._request.interval_seconds
            if finding := await self.turn():
                return finding
            await asyncio.sleep(max(0.0, next_turn_at - loop.time()))
        return None

    def _known(self) -> Known:
        request, exposure = self._request, self._request.exposure
        if exposure is not None:
            tracks = {**exposure.tracks, **self.notes.tracks}
            exposure = exposure.model_copy(update={"tracks": tracks})
        return Known(request.metrics, request.baseline, exposure, request.stale_after)

    async def turn(self) -> Finding | None:
        now = self._ports.clock()
        sampler = Sampler(self._ports.metrics, now, self._known(), MEASURE_SECONDS_MAX)
        # Side by side: one that is slow mustn't add to the other.
        flag, verdicts = await asyncio.gather(self._flag(now), sampler.verdicts(self._gates))
        self.notes = WatchNotes(
            at=now,
            turns=self.notes.turns + 1,
            failures=counted(self.notes.failures, verdicts),
            flag_differs=self._flag_differs(flag),
            readings=tuple(verdict.because for verdict in verdicts[:NOTES_MAX]),
            problem=flag.problem or _problem(verdicts),
            tracks={**self.notes.tracks, **sampler.tracks},
        )
        return min(self._findings(flag, verdicts, now), key=_severity, default=None)

    async def _flag(self, now: datetime) -> "_FlagLook":
        request = self._request
        if request.percentage is None:
            return _FlagLook()
        try:
            async with asyncio.timeout(FLAG_SECONDS_MAX):
                stored = await self._ports.flags.read(request.environment, request.flag)
        except (FlagsUnreachableError, TimeoutError) as error:
            # The routers turn themselves off when their lease is over: nothing to report.
            return _FlagLook(problem=f"flag store: {error or 'no answer'}", known=False)
        finding = flag_finding(request, stored, now)
        return _FlagLook(finding if finding and finding.name not in request.noted else None)

    def _flag_differs(self, flag: "_FlagLook") -> int:
        """Turns in a row in which the flag wasn't right; not knowing neither adds nor ends."""
        if not flag.known:
            return self.notes.flag_differs
        return self.notes.flag_differs + 1 if flag.finding else 0

    def _findings(
        self, flag: "_FlagLook", verdicts: tuple[Verdict, ...], now: datetime
    ) -> Iterator[Finding]:
        for gate, verdict in zip(self._gates, verdicts, strict=True):
            lasting = self.notes.failures.get(gate.name, 0) >= gate.consecutive
            if verdict.outcome is Outcome.FAILED and lasting and not gate.dry_run:
                yield Finding(
                    name=gate.name, kind="red_flag", verdict=verdict, gate=gate, seen_at=now
                )
        # A difference must last: a turn may begin before the rollout's own change, and end after.
        if flag.finding and (flag.finding.kind == "killed" or self.notes.flag_differs > 1):
            yield flag.finding


@dataclass(frozen=True)
class _FlagLook:
    """One look at the flag in the store; not ``known`` when the store was out of reach."""

    finding: Finding | None = None
    problem: str = ""
    known: bool = True


def counted(failures: Mapping[str, int], verdicts: tuple[Verdict, ...]) -> dict[str, int]:
    """Count failures in a row: a success ends the row; what couldn't be judged neither adds nor ends."""
    counts = dict(failures)
    for verdict in verdicts:
        if verdict.outcome is Outcome.FAILED:
            counts[verdict.gate] = counts.get(verdict.gate, 0) + 1
        elif verdict.outcome is Outcome.SUCCESSFUL:
            counts.pop(verdict.gate, None)
    return counts


def _severity(finding: Finding) -> str:
    return finding.verdict.severity


def _problem(verdicts: tuple[Verdict, ...]) -> str:
    return next((v.because for v in verdicts if v.outcome is Outcome.ERROR), "")
