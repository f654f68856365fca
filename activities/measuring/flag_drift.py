"""What the watch says about the flag in the store: killed, or not at the rollout's percentage."""

from datetime import datetime

from activities.contract.models import WatchRequest
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.flag_target import FlagReceipt
from sluice.rollout.engine.state import Finding

KILLED = "killed"
DRIFT = "flag_drift"


def flag_finding(
    request: WatchRequest, stored: FlagReceipt | None, now: datetime
) -> Finding | None:
    """Compare the stored flag (None: there is none) with ``request.percentage``.

    More traffic than the rollout asked for is P0, for nobody judges it; less is P1: it harms no
    user, but what the gates measure is no longer the step. A missing flag serves nobody.
    """
    wanted = request.percentage
    assert wanted is not None  # noqa: S101  the watch doesn't ask where no flag is expected
    if stored is not None and stored.killed:
        text = f"flag {request.flag} was killed by a person"
        return _finding(KILLED, _verdict(text, Severity.P0, 0.0, wanted), now)
    actual = stored.percentage if stored is not None else 0.0
    if actual == wanted:
        return None
    severity = Severity.P0 if actual > wanted else Severity.P1
    holds = f"is at {actual:g} % in the store" if stored is not None else "is not in the store"
    text = f"flag {request.flag} {holds}, the rollout set {wanted:g} %"
    return _finding(DRIFT, _verdict(text, severity, actual, wanted), now)


def _verdict(reason: str, severity: Severity, actual: float, wanted: float) -> Verdict:
    return Verdict(
        gate="flag",
        outcome=Outcome.FAILED,
        reason=reason,
        value=actual,
        limit=wanted,
        unit="percent",
        severity=severity,
    )


def _finding(name: str, verdict: Verdict, now: datetime) -> Finding:
    kind = "killed" if name == KILLED else "flag_drift"
    return Finding(name=name, kind=kind, verdict=verdict, seen_at=now)
