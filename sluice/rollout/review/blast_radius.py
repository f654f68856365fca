"""The blast radius of a rollback: users and queries that were exposed, and the detection delay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.verdict import Check, Outcome
from sluice.rollout.engine.state import Rollback, State


@dataclass(frozen=True, kw_only=True)
class BlastRadius:
    """The exposure that a rollback ended. Queries are estimated from the samples of the gates.

    ``last_good_at``: the last Successful check, or the start of the step. The detection delay is at
    most the time from there to the finding, and ``queries_since_good`` were served in that time and
    until the store had the target.
    """

    requested_at: datetime
    step: str
    percentage: float
    exposed_for: timedelta
    last_good_at: datetime
    detection_delay: timedelta
    users: float | None = None
    queries: float | None = None
    queries_since_good: float | None = None


def blast_radii(
    state: State, rollbacks: Sequence[Rollback], checks: Sequence[Check]
) -> Iterator[BlastRadius]:
    """Yield the exposure of each rollback that took traffic away."""
    for rollback in rollbacks:
        lives = [
            event
            for event in state.timeline
            if event.kind == "step" and event.at <= rollback.requested_at
        ]
        if lives and lives[-1].percentage:
            live_checks = [
                check for check in checks if lives[-1].at <= check.at <= rollback.requested_at
            ]
            yield _blast_radius(state, rollback, (lives[-1].at, lives[-1].percentage), live_checks)


def _blast_radius(
    state: State, rollback: Rollback, live: tuple[datetime, float], checks: Sequence[Check]
) -> BlastRadius:
    live_at, percentage = live
    found_at = rollback.finding.seen_at if rollback.finding else rollback.requested_at
    ended_at = rollback.completed_at or rollback.requested_at
    success_times = [check.at for check in checks if check.outcome is Outcome.SUCCESSFUL]
    last_good_at = max(success_times, default=live_at)
    rate = _query_rate(state, rollback, checks)
    traffic = state.plan.traffic
    users = traffic.users * percentage / 100 if traffic and traffic.users else None
    return BlastRadius(
        requested_at=rollback.requested_at,
        step=rollback.from_step,
        percentage=percentage,
        exposed_for=ended_at - live_at,
        last_good_at=last_good_at,
        detection_delay=max(timedelta(0), found_at - last_good_at),
        users=users,
        queries=None if rate is None else rate * (ended_at - live_at).total_seconds(),
        queries_since_good=None if rate is None else rate * _seconds(last_good_at, ended_at),
    )


def _seconds(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())


def _query_rate(state: State, rollback: Rollback, checks: Sequence[Check]) -> float | None:
    """Estimate the treatment's queries per second: each check's most counted gate, averaged."""
    gates = {gate.name: gate for gate in state.plan.step(rollback.from_step).gates}
    rates = [rate for check in checks if (rate := check_query_rate(gates, check)) is not None]
    finding = rollback.finding
    if not rates and finding is not None and finding.gate is not None:
        rates = list(_gate_rates(finding.gate, finding.verdict.samples))
    return fmean(rates) if rates else None


def check_query_rate(gates: dict[str, Gate], check: Check) -> float | None:
    """Estimate the treatment's queries per second from the most counted gate of a check."""
    rates = [
        rate
        for verdict in check.verdicts
        if verdict.gate in gates
        for rate in _gate_rates(gates[verdict.gate], verdict.samples)
    ]
    return max(rates, default=None)


def _gate_rates(gate: Gate, samples: float | None) -> Iterator[float]:
    is_counted = gate.cohort == "treatment" and gate.kind is not GateKind.STATISTICAL
    if samples is not None and is_counted:
        yield samples / gate.window.total_seconds()
