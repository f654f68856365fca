"""Findings of the watch about the stored flag: killed, not as the rollout set it, or ahead of it."""

from collections.abc import Iterator
from datetime import datetime

from activities.contract.models import WatchRequest
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.flag_target import FlagReceipt
from sluice.rollout.engine.state import Finding
from sluice.rollout.plan.schema import PhaseSwitches
from sluice.rollout.units import format_count

KILLED = "killed"
DRIFT = "flag_drift"
ASKERS_SHOWN = 3


def flag_finding(
    request: WatchRequest,
    stored: FlagReceipt | None,
    now: datetime,
    askers: tuple[str, ...] = (),
) -> Finding | None:
    """Compare the stored flag (None: the store has no such flag) with the rollout's own write.

    More traffic than the rollout set is P0, for nobody judges it. Less is P1: it harms no user, but
    what the gates measure is no longer the step. A missing flag serves nobody. ``askers`` are the
    processes that still ask for the flag after its deletion, and get their default.
    """
    is_ours = request.percentage is not None or request.is_permanent
    if stored is not None and stored.killed and is_ours:
        text = f"flag {request.flag} was killed by a person"
        return _finding(request, KILLED, (text, Severity.P0), stored, now)
    drifts = (*_drifts(request, stored), *_askers_drift(request, askers))
    worst = min(drifts, key=lambda drift: drift[1], default=None)
    return _finding(request, DRIFT, worst, stored, now) if worst else None


def _drifts(request: WatchRequest, stored: FlagReceipt | None) -> Iterator[tuple[str, Severity]]:
    """Yield the reason and the severity of each difference."""
    actual, expected = stored.percentage if stored else 0.0, request.percentage
    if stored is not None and _is_ahead(request, stored):
        text = (
            f"the store has write {stored.sequence} of this rollout, which itself knows "
            f"{request.sequence}: its workflow was reset; flag {request.flag} is at {actual:g} %"
        )
        yield text, Severity.P0 if actual > (expected or 0.0) else Severity.P1
    if expected is not None and actual != expected:
        holds = f"is at {actual:g} % in the store" if stored else "is not in the store"
        text = f"flag {request.flag} {holds}, the rollout set {expected:g} %"
        yield text, Severity.P0 if actual > expected else Severity.P1
    if stored is not None and request.phases is not None and stored.phases != request.phases:
        yield from _phases_drift(request.phases, stored.phases)


def _askers_drift(request: WatchRequest, askers: tuple[str, ...]) -> Iterator[tuple[str, Severity]]:
    if askers:
        count = format_count(len(askers), "process")
        yield (
            f"flag {request.flag} is deleted, but {count} still evaluated it and got the default: "
            f"{', '.join(askers[:ASKERS_SHOWN])}; deploy the code that no longer asks for it",
            Severity.P1,
        )


def _is_ahead(request: WatchRequest, stored: FlagReceipt) -> bool:
    return request.run_id == stored.run_id != "" and stored.sequence > request.sequence


def _phases_drift(
    expected: PhaseSwitches, actual: PhaseSwitches | None
) -> Iterator[tuple[str, Severity]]:
    """Yield the drift of the router's switches; None: they belong to no flag, or to another."""
    treats_all = (
        actual is not None and actual.enable_online_learning and not actual.enable_feature_flags
    )
    holds = f"are {actual}" if actual else "are off, or belong to another flag"
    yield (
        f"the router's phases {holds}; the rollout set {expected}",
        Severity.P0 if treats_all else Severity.P1,
    )


def _finding(
    request: WatchRequest,
    name: str,
    drift: tuple[str, Severity],
    stored: FlagReceipt | None,
    now: datetime,
) -> Finding:
    reason, severity = drift
    is_own = stored is not None and stored.run_id == request.run_id
    return Finding(
        name=name,
        kind="killed" if name == KILLED else "flag_drift",
        seen_at=now,
        sequence=stored.sequence if stored is not None and is_own else -1,
        verdict=Verdict(
            gate="flag",
            outcome=Outcome.FAILED,
            reason=reason,
            value=stored.percentage if stored is not None and name == DRIFT else 0.0,
            limit=request.percentage or 0.0,
            unit="percent",
            severity=severity,
        ),
    )
