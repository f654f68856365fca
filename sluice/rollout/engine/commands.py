"""People's commands to a rollout, and the acknowledgement of each."""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from sluice.rollout.analysis.gate import Model
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.printable import Line
from sluice.rollout.units import format_duration


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
    ACKNOWLEDGE = "acknowledge"
    AMEND = "amend"


HELP = {
    Verb.APPROVE: "Approve the step that waits for a person.",
    Verb.PROMOTE: "Skip the rest of the step's wait; never a red flag.",
    Verb.PAUSE: "Stay at the current percentage; red flags are still watched.",
    Verb.RESUME: "Go on after a pause; stability starts again.",
    Verb.ABORT: "End the rollout at 0 %; answers when the flag is there.",
    Verb.ROLLBACK: "Step back, or with emergency: 0 % and killed; answers when done.",
    Verb.RETRY: "Enter the step that was rolled back again, with a fresh clock.",
    Verb.ATTEST: "Attest that an item of a checklist is true.",
    Verb.AMEND: "Change the running plan, as far as nothing that has happened is rewritten.",
    Verb.ACKNOWLEDGE: "Silence a P1, P2 or P3 finding for a time; never a P0.",
}
"""The description of each verb, in the Temporal UI and the command line."""


def plan_digest(plan: RolloutPlan) -> str:
    """Compute the SHA-256 of a plan; fields that have their default do not change it."""
    text = plan.model_dump_json(exclude_defaults=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Proof(Model):
    """A canonical statement of a decision and its armored SSHSIG signature."""

    statement: str = Field(max_length=8_000)
    signature: str = Field(max_length=8_000)


class Signer(Model):
    """The verified author of a decision.

    ``fingerprint`` identifies the key. ``gateway`` is the fingerprint of the console that vouches
    for a login; without it the person's own key signed, and the decision can't be repudiated.
    """

    name: str
    fingerprint: str
    gateway: str = ""


class DecisionMemory(Model):
    """Memory of verification: the verified starter, and the nonces used lately with their time.

    ``has_keyring``: the worker verified the last decision; without it names are claims.
    ``approvals_min`` is the worker's own minimum, which a plan cannot lower.
    """

    has_keyring: bool = False
    approvals_min: int = 0
    started_by: str = ""
    used_nonces: dict[str, datetime] = Field(default_factory=dict)


class Command(Model):
    """One command with its author and the reason.

    ``evidence`` (the id of the check that was seen) belongs to approve. ``item`` names a checklist's
    item to attest, or a finding to acknowledge for ``duration``. The rest belongs to rollback. ``to`` names the step (or its percentage) to step back to.
    ``code`` requests a code rollback and ``confirmed`` confirms its revert. ``proof`` is what a
    keyring asks for before a command that may raise traffic. ``plan`` is the amended plan.
    """

    actor: Line = Field(min_length=1, max_length=200)
    reason: Line = Field(default="", max_length=2000)
    emergency: bool = False
    evidence: Line = Field(default="", max_length=200)
    item: Line = Field(default="", max_length=100)
    graceful: bool = False
    code: bool = False
    confirmed: bool = False
    to: Line = Field(default="", max_length=100)
    duration: timedelta | None = None
    plan: RolloutPlan | None = None
    proof: Proof | None = None

    @property
    def target(self) -> str:
        """The argument that a signature covers: a plan's digest, a duration, or the step to go to."""
        if self.plan is not None:
            return plan_digest(self.plan)
        return format_duration(self.duration) if self.duration else self.to


class Acknowledgement(Model):
    """The answer to a command. ``percentage`` is what the store acknowledged."""

    verb: Verb
    status: str
    step: str | None
    percentage: float
    at: datetime
    message: str


def describe_command(verb: Verb, command: Command) -> str:
    """Return the timeline's text for a command: its subject and its reason."""
    subject = {
        Verb.APPROVE: command.evidence,
        Verb.ATTEST: command.item,
        Verb.ACKNOWLEDGE: f"{command.item} for {command.target}",
        Verb.ROLLBACK: _describe_rollback(command),
    }.get(verb, "")
    return ": ".join(part for part in (subject, command.reason) if part)


def _describe_rollback(command: Command) -> str:
    """Return the requested kind or target; empty for the step's own target."""
    if command.code:
        return "the revert is confirmed" if command.confirmed else "code"
    if command.emergency:
        return "emergency"
    if command.graceful:
        return "graceful"
    return f"to {command.to}" if command.to else ""
