"""Notices, and the routes on which people get them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.model import Model, TupleOf

Channel = Literal["log", "webhook", "slack", "alertmanager"]


class NoticeRoute(Model):
    """A channel for notices of some severities. The worker has its address and secret."""

    channel: Channel
    severities: Annotated[TupleOf[Severity], Field(min_length=1)] = tuple(Severity)


class Notice(Model):
    """One message to people. ``key`` is the same in every repetition of it.

    ``alert`` names the problem. A later notice with ``resolved`` and the same name ends it.
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
    resolved: bool = False
