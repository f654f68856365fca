"""The progress of a step: its clock, its wait, the settings that are live, and its evidence."""

from datetime import datetime, timedelta

from pydantic import Field

from sluice.rollout.analysis.verdict import Check
from sluice.rollout.model import Model
from sluice.rollout.plan.approval_policy import ApprovalRecord, CheckSummary


class StepClock(Model):
    """The progress of the step that is live. ``started_at`` None: the step waits to start.

    ``stable_since``: every check since then was Successful. ``consecutive_failures`` counts failed
    checks in a row by gate. ``promoted_by``: the person who ended the wait.
    """

    started_at: datetime | None = None
    extended_deadline: timedelta | None = None
    stable_since: datetime | None = None
    next_check_at: datetime | None = None
    check: Check | None = None
    consecutive_failures: dict[str, int] = Field(default_factory=dict)
    promoted_by: str = ""


class PendingEntry(Model):
    """The wait of the step that is next. ``overridden_by``: the person who overruled readings."""

    eligible_since: datetime | None = None
    approvals: tuple[ApprovalRecord, ...] = ()
    overridden_by: str = ""


class LiveStep(Model):
    """The step whose settings the router processes serve; ``name`` empty: no step's."""

    name: str = ""
    since: datetime | None = None


class CheckEvidence(Model):
    """The checks that an approver may refer to, the newest last in ``recent``."""

    latest: Check | None = None
    recent: tuple[CheckSummary, ...] = ()
