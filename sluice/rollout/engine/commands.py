"""What people say to a rollout, and the answer they get."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from sluice.rollout.analysis.gate import Model


class Verb(StrEnum):
    """Argo's verbs; each is an update and a signal of the workflow."""

    APPROVE = "approve"
    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    ROLLBACK = "rollback"
    RETRY = "retry"
    ATTEST = "attest"


class Command(Model):
    """One command with its author: who, and why.

    ``evidence`` (the id of the check that was seen) belongs to approve, ``item`` (of a checklist) to
    attest, the rest to rollback: ``to`` names the step (or its percentage) to step back to,
    ``code`` asks for a code rollback and ``confirmed`` confirms its revert.
    """

    actor: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=2000)
    emergency: bool = False
    evidence: str = Field(default="", max_length=200)
    item: str = Field(default="", max_length=100)
    graceful: bool = False
    code: bool = False
    confirmed: bool = False
    to: str = Field(default="", max_length=100)


class Acknowledgement(Model):
    """The answer to a command. ``percentage`` was read back from the store, not assumed."""

    verb: Verb
    status: str
    step: str | None
    percentage: float
    at: datetime
    message: str


def describe_command(verb: Verb, command: Command) -> str:
    """What the timeline keeps of a command: what it was about, and why."""
    about = {
        Verb.APPROVE: command.evidence,
        Verb.ATTEST: command.item,
        Verb.ROLLBACK: _describe_rollback(command),
    }.get(verb, "")
    return ": ".join(part for part in (about, command.reason) if part)


def _describe_rollback(command: Command) -> str:
    """Which rollback was asked for; empty for the step's own target."""
    if command.code:
        return "the revert is confirmed" if command.confirmed else "code"
    if command.emergency:
        return "emergency"
    if command.graceful:
        return "graceful"
    return f"to {command.to}" if command.to else ""
