"""What people are told, and the routes on which they are told it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sluice.rollout.analysis.gate import Model, Severity

Channel = Literal["log", "webhook", "slack", "alertmanager"]


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class NoticeRoute(Model):
    """Notices of these severities go to this channel; its address and secret are the worker's."""

    channel: Channel
    severities: Annotated[
        tuple[Severity, ...], BeforeValidator(_list_to_tuple), Field(min_length=1)
    ] = tuple(Severity)


class Notice(Model):
    """One thing that people are told. ``key`` is the same in every repetition of it.

    ``alert`` names what is wrong, so that a later notice with ``resolved`` can call it off.
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
