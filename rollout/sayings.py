"""What people said, and what they had seen when they said it, as the state keeps it."""

from datetime import datetime

from rollout.approval import SEEN_MAX, Given, Seen
from rollout.checklist import Attestation
from rollout.commands import Command, Verb
from rollout.state import State
from rollout.verdict import Check


def shown(state: State, check: Check) -> None:
    """Keep a check as evidence that an approver may have seen."""
    state.checks += 1
    state.evidence = check
    one = Seen(id=check.id, at=check.at, outcome=check.outcome)
    state.seen = (*state.seen, one)[-SEEN_MAX:]


def said(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Keep an approval or an attestation."""
    if verb is Verb.APPROVE:
        given = Given(actor=command.actor, at=now, evidence=command.evidence)
        state.approvals = (*state.approvals, given)
    else:
        word = Attestation(item=command.item, by=command.actor, note=command.reason, at=now)
        state.attested = {**state.attested, command.item: word}


def overruled(state: State, command: Command) -> None:
    """Keep who let the step pass: while the next one waits, over the readings of the live one."""
    if state.step_started_at is None:
        state.passed_by = command.actor
    else:
        state.promoted_by = command.actor


def words(verb: Verb, command: Command) -> str:
    """What the timeline keeps of a command: what it was about, and why."""
    about = {
        Verb.APPROVE: command.evidence,
        Verb.ATTEST: command.item,
        Verb.ROLLBACK: _which(command),
    }.get(verb, "")
    return ": ".join(part for part in (about, command.reason) if part)


def _which(command: Command) -> str:
    """Which rollback was asked for; empty for the step's own target."""
    if command.code:
        return "the revert is confirmed" if command.confirmed else "code"
    if command.emergency:
        return "emergency"
    if command.graceful:
        return "graceful"
    return f"to {command.to}" if command.to else ""
