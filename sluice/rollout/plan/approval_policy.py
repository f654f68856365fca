"""Approvals: the people who may approve a step, the readings they may do it on, and the time."""

from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.model import Model, TupleOf
from sluice.rollout.units import Duration, parse_duration

RECENT_CHECKS_MAX = 50
"""Checks that an approval may still name; older ones are past any sensible age."""
EVIDENCE_MAX_AGE = parse_duration("1h")


class ApprovalPolicy(Model):
    """Before the step starts, ``required_approvals`` different people must approve it.

    ``eligible_approvers`` may (nobody named: anybody). An approval names the check whose readings the
    approver saw; one older than ``evidence_max_age`` is refused, so while the step waits the live
    step is checked at least twice as often. Without enough approvals within ``expires_after`` the
    rollout pauses (``hold``) or ends at 0 % (``abort``). With a keyring, the person who started the
    rollout approves only if ``starter_may_approve`` is set.
    """

    required_approvals: int = Field(default=1, ge=1, le=20)
    eligible_approvers: TupleOf[str] = ()
    evidence_max_age: Duration = EVIDENCE_MAX_AGE
    starter_may_approve: bool = False
    expires_after: Duration | None = None
    on_expiry: Literal["hold", "abort"] = "hold"

    @model_validator(mode="after")
    def _require_satisfiable(self) -> Self:
        if len(set(self.eligible_approvers)) != len(self.eligible_approvers):
            raise ValueError("eligible_approvers names somebody twice; each person approves once")
        if self.eligible_approvers and len(self.eligible_approvers) < self.required_approvals:
            raise ValueError(
                f"eligible_approvers names {len(self.eligible_approvers)} people, required_approvals asks for {self.required_approvals}; name more"
            )
        if self.evidence_max_age < timedelta(seconds=10):
            raise ValueError("evidence_max_age must be at least 10s: somebody has to read it")
        if self.expires_after is not None and not self.expires_after:
            raise ValueError("expires_after must be longer than zero; leave it out for no expiry")
        return self


class CheckSummary(Model):
    """A check that an approver may have looked at. ``id`` is what ``--evidence`` names."""

    id: str
    at: datetime
    outcome: Outcome


class ApprovalRecord(Model):
    """One approval: who, when, and on which readings (empty: nothing was live to be read).

    ``fingerprint`` is the verified key's; empty without a keyring.
    """

    actor: str
    at: datetime
    evidence: str = ""
    fingerprint: str = ""
