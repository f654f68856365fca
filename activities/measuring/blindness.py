"""Red flags that can't be evaluated: without a verdict for too long, they protect nobody."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Gate, GateKind, Severity
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.state import Finding
from sluice.rollout.units import format_whole_seconds

BLIND = "blind"
UNWATCHED = "unwatched"
STATISTICAL_WINDOWS = 3
"""Windows of a statistical red flag that may pass without counts, besides the plan's limit."""
_REASONS_SHOWN = 3


def update_verdict_times(
    times: Mapping[str, datetime], verdicts: Iterable[Verdict], now: datetime
) -> dict[str, datetime]:
    """Return, by red flag, the time of its last verdict; a new one starts at ``now``."""
    return {
        verdict.gate: times.get(verdict.gate, now) if verdict.is_unmeasured else now
        for verdict in verdicts
    }


def blind_finding(
    measured: Iterable[tuple[Gate, Verdict]],
    times: Mapping[str, datetime],
    limits: tuple[timedelta, Severity],
    now: datetime,
) -> Finding | None:
    """Return one finding for all red flags that are blind now; None when all are evaluated.

    ``times``: by red flag, its last verdict. ``limits``: how long a red flag may go without, and
    the finding's severity.
    """
    after, severity = limits
    blind = [
        (gate, verdict, now - times[gate.name])
        for gate, verdict in measured
        if not gate.dry_run and now - times[gate.name] >= _limit(gate, after)
    ]
    if not blind:
        return None
    longest = format_whole_seconds(max(age for *_, age in blind))
    names = ", ".join(gate.name for gate, *_ in blind)
    causes = list(dict.fromkeys(verdict.reason for _, verdict, _ in blind))[:_REASONS_SHOWN]
    reason = f"red flags without a verdict for {longest}: {names} ({'; '.join(causes)})"
    return unmeasured_finding(BLIND, reason, severity, now)


def unwatched_finding(
    last_poll_at: datetime | None, now: datetime, limit: timedelta
) -> Finding | None:
    """Return a finding when nobody looked for ``limit`` or longer: no worker ran the watch."""
    if last_poll_at is None or now - last_poll_at < limit:
        return None
    reason = (
        f"nobody looked at the red flags for {format_whole_seconds(now - last_poll_at)}, "
        f"up to {now:%m-%d %H:%M:%S} UTC"
    )
    return unmeasured_finding(UNWATCHED, reason, Severity.P2, now, is_over=True)


def unmeasured_finding(
    name: str, reason: str, severity: Severity, now: datetime, *, is_over: bool = False
) -> Finding:
    """Build the finding that something was not measured, so that nothing protects the traffic."""
    verdict = Verdict(
        gate=name, outcome=Outcome.ERROR, reason=reason, severity=severity, is_unmeasured=True
    )
    return Finding(name=name, kind="blind", seen_at=now, is_over=is_over, verdict=verdict)


def _limit(gate: Gate, after: timedelta) -> timedelta:
    is_statistical = gate.kind is GateKind.STATISTICAL
    return after + STATISTICAL_WINDOWS * gate.window if is_statistical else after
