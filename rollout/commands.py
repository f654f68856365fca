"""What people say to a rollout, and the answer they get."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from rollout.gate import Model


class Verb(StrEnum):
    """Argo's verbs; each is an update and a signal of the workflow."""

    APPROVE = "approve"
    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    ROLLBACK = "rollback"
    RETRY = "retry"


class Command(Model):
    """One command with its author: who, and why. ``emergency`` belongs to rollback only."""

    actor: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=2000)
    emergency: bool = False


class Acknowledgement(Model):
    """The answer to a command. ``percentage`` was read back from the store, not assumed."""

    verb: Verb
    status: str
    step: str | None
    percentage: float
    at: datetime
    message: str
