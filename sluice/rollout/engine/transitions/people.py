"""Commands of people, once ``admission`` has let them through."""

from datetime import datetime
from typing import assert_never

from sluice.rollout.engine.commands import Command, Verb, describe_command
from sluice.rollout.engine.rollback import rollback_kind
from sluice.rollout.engine.state import State
from sluice.rollout.engine.transitions.notices import add_event, resolve_alerts
from sluice.rollout.engine.transitions.pauses import pause, resume
from sluice.rollout.engine.transitions.rollbacks import (
    confirm_revert,
    request_abort,
    start_rollback,
)
from sluice.rollout.engine.transitions.steps import retry
from sluice.rollout.plan.approval_policy import ApprovalRecord
from sluice.rollout.plan.checklist import Attestation


def apply_command(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Apply a permitted command; the next decision acts on it."""
    match verb:
        case Verb.APPROVE | Verb.ATTEST | Verb.PROMOTE:
            _record_sign_off(state, now, verb, command)
        case Verb.PAUSE:
            pause(state, now, command.reason or f"paused by {command.actor}")
        case Verb.RESUME:
            resume(state, now)
        case Verb.ABORT:
            request_abort(state, now, command.actor, command.reason)
        case Verb.ROLLBACK:
            if not confirm_revert(state, command):
                start_rollback(state, now, rollback_kind(command), command)
        case Verb.RETRY:
            retry(state, now, command)
        case _:
            assert_never(verb)
    add_event(state, now, verb, describe_command(verb, command), command.actor)
    resolve_alerts(state, now, verb, command)


def _record_sign_off(state: State, now: datetime, verb: Verb, command: Command) -> None:
    """Keep an approval, an attestation, or the override of a wait."""
    if verb is Verb.APPROVE:
        record = ApprovalRecord(actor=command.actor, at=now, evidence=command.evidence)
        approvals = (*state.entry.approvals, record)
        state.entry = state.entry.model_copy(update={"approvals": approvals})
    elif verb is Verb.ATTEST:
        word = Attestation(item=command.item, actor=command.actor, note=command.reason, at=now)
        state.attestations = {**state.attestations, command.item: word}
    elif state.is_live:
        state.clock = state.clock.model_copy(update={"promoted_by": command.actor})
    else:
        state.entry = state.entry.model_copy(update={"overridden_by": command.actor})
