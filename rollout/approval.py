"""Approvals: who may say yes, to which readings, and until when (DESIGN.md §4, people)."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rollout.gate import Model
from rollout.quantity import Duration, parse_duration
from rollout.verdict import Outcome

SEEN_MAX = 50
"""Checks that an approval may still name; older ones are past any sensible age."""
EVIDENCE_MAX_AGE = parse_duration("1h")


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Approval(Model):
    """Before the step starts, ``approvers`` different people must approve it.

    ``of`` names who may (nobody named: anybody). An approval names the check whose readings the
    approver saw; one older than ``evidence_max_age`` is refused, so while the step waits the live
    step is checked at least twice as often. Without enough approvals within ``expires_after`` the
    rollout pauses (``hold``) or ends at 0 % (``abort``).
    """

    approvers: int = Field(default=1, ge=1, le=20)
    of: Annotated[tuple[str, ...], BeforeValidator(_list_to_tuple)] = ()
    evidence_max_age: Duration = EVIDENCE_MAX_AGE
    expires_after: Duration | None = None
    on_expiry: Literal["hold", "abort"] = "hold"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if len(set(self.of)) != len(self.of):
            raise ValueError("of names somebody twice; each person approves once")
        if self.of and len(self.of) < self.approvers:
            raise ValueError(
                f"of names {len(self.of)} people, approvers asks for {self.approvers}; name more"
            )
        if self.evidence_max_age < timedelta(seconds=10):
            raise ValueError("evidence_max_age must be at least 10s: somebody has to read it")
        if self.expires_after is not None and not self.expires_after:
            raise ValueError("expires_after must be longer than zero; leave it out for no expiry")
        return self


class Seen(Model):
    """A check that an approver may have looked at. ``id`` is what ``--evidence`` names."""

    id: str
    at: datetime
    outcome: Outcome


class Given(Model):
    """One approval: who, when, and on which readings (empty: nothing was live to be read)."""

    actor: str
    at: datetime
    evidence: str = ""
