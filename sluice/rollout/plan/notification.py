"""Notices, and the routes on which people get them."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.model import Model, TupleOf

_REQUESTED_VERBS = {"approval_needed": "approve", "paused": "resume"}
Channel = Literal["log", "webhook", "slack", "alertmanager", "email"]


class NoticeRoute(Model):
    """A channel for notices of some severities. The worker has its address and secret."""

    channel: Channel
    severities: Annotated[TupleOf[Severity], Field(min_length=1)] = tuple(Severity)


class Notice(Model):
    """One message to people. ``key`` is the same in every repetition of it.

    ``alert`` names the problem. A later notice with ``resolved`` and the same name ends it.
    ``evidence`` is the newest check when it was written. ``link`` is its page in the console.
    """

    key: str
    severity: Severity
    alert: str
    title: str
    text: str
    at: datetime
    flag: str
    rollout_id: str
    step: str | None = None
    percentage: float
    actor: str = "sluice"
    runbook: str = ""
    evidence: str = ""
    link: str = ""
    resolved: bool = False


def console_link(notice: Notice, console_url: str) -> str:
    """Return the console's page for a notice: the decision it asks for, on its evidence."""
    if not console_url:
        return ""
    page = f"{console_url.rstrip('/')}/rollouts/{quote(notice.flag, safe='')}"
    verb = "" if notice.resolved else _REQUESTED_VERBS.get(notice.alert, "")
    if not verb:
        return page
    evidence = f"?evidence={quote(notice.evidence, safe='')}" if notice.evidence else ""
    return f"{page}/decide/{verb}{evidence if verb == 'approve' else ''}"
