"""Commands of people, once ``admission`` has let them through."""

from datetime import datetime, timedelta
from typing import assert_never

from sluice.rollout.engine.commands import Command, Signer, Verb, describe_command
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.rollback import rollback_kind
from sluice.rollout.engine.state import State
from sluice.rollout.engine.transitions.acknowledgements import acknowledge
from sluice.rollout.engine.transitions.amendments import amend
from sluice.rollout.engine.transitions.notices import (
    add_event,
    append_event,
    resolve_alerts,
)
from sluice.rollout.engine.transitions.pauses import pause, resume
from sluice.rollout.engine.transitions.rollbacks import (
    confirm_revert,
    request_abort,
    start_rollback,
)
from sluice.rollout.engine.transitions.steps import retry
from sluice.rollout.plan.approval_policy import ApprovalRecord
from sluice.rollout.plan.checklist import Attestation

NONCES_KEPT = timedelta(minutes=15)
"""Longer than a statement may be old: no statement outlives the memory of its use."""


_CHANGES = {Verb.RETRY: retry, Verb.ACKNOWLEDGE: acknowledge, Verb.AMEND: amend}


def apply_command(
    state: State, now: datetime, verb: Verb, command: Command, signer: Signer | None = None
) -> None:
    """Apply a permitted command; the next decision acts on it. ``signer``: verified by a keyring."""
    match verb:
        case Verb.APPROVE | Verb.ATTEST | Verb.PROMOTE:
            _record_sign_off(state, now, verb, command, signer)
        case Verb.PAUSE:
            pause(state, now, command.reason or f"paused by {command.actor}")
        case Verb.RESUME:
            resume(state, now)
        case Verb.ABORT:
            request_abort(state, now, command.actor, command.reason)
        case Verb.ROLLBACK:
            _roll_back(state, now, command)
        case Verb.RETRY | Verb.ACKNOWLEDGE | Verb.AMEND:
            _CHANGES[verb](state, now, command)
        case _:
            assert_never(verb)
    _record_decision(state, now, (verb, describe_command(verb, command)), command, signer)
    resolve_alerts(state, now, verb, command)


def _roll_back(state: State, now: datetime, command: Command) -> None:
    if not confirm_revert(state, command):
        start_rollback(state, now, rollback_kind(command), command)


def record_start(state: State, now: datetime, command: Command, signer: Signer | None) -> None:
    """Keep who started the rollout."""
    started_by = signer.name if signer else ""
    state.decisions = state.decisions.model_copy(update={"started_by": started_by})
    _record_decision(state, now, ("start", command.reason), command, signer)


def record_approvals_min(state: State, minimum: int) -> None:
    """Keep the worker's minimum of approvals, which counts from now on."""
    state.decisions = state.decisions.model_copy(update={"approvals_min": minimum})


def revoke_approvals(state: State, now: datetime, keys: tuple[str, ...]) -> None:
    """Void the approvals of keys that the keyring no longer accepts."""
    revoked = [record for record in state.entry.approvals if record.fingerprint in keys]
    if not revoked:
        return
    approvals = tuple(record for record in state.entry.approvals if record not in revoked)
    state.entry = state.entry.model_copy(update={"approvals": approvals})
    names = ", ".join(record.actor for record in revoked)
    text = f"the keyring no longer accepts the approval of {names}; another person must approve"
    add_event(state, now, "approval_needed", text)


def record_verification(state: State, now: datetime, has_keyring: bool, nonce: str) -> None:
    """Keep whether a keyring is in force, and the nonce of the statement that was verified."""
    used = state.decisions.used_nonces
    recent = {key: at for key, at in used.items() if now - at <= NONCES_KEPT}
    if nonce:
        recent[nonce] = now
    changes = {"has_keyring": has_keyring, "used_nonces": recent}
    state.decisions = state.decisions.model_copy(update=changes)


def _record_decision(
    state: State, now: datetime, entry: tuple[str, str], command: Command, signer: Signer | None
) -> None:
    """Add a person's decision, ``entry`` its kind and text, with its proof if it was verified."""
    kind, text = entry
    event = Event(
        at=now,
        kind=kind,
        text=text,
        actor=command.actor,
        signer=signer,
        proof=command.proof if signer else None,
    )
    append_event(state, event)


def _record_sign_off(
    state: State, now: datetime, verb: Verb, command: Command, signer: Signer | None
) -> None:
    """Keep an approval, an attestation, or the override of a wait."""
    if verb is Verb.APPROVE:
        key = signer.fingerprint if signer else ""
        record = ApprovalRecord(
            actor=command.actor, at=now, evidence=command.evidence, fingerprint=key
        )
        approvals = (*state.entry.approvals, record)
        state.entry = state.entry.model_copy(update={"approvals": approvals})
    elif verb is Verb.ATTEST:
        attestation = Attestation(
            item=command.item, actor=command.actor, note=command.reason, at=now
        )
        state.attestations = {**state.attestations, command.item: attestation}
    elif state.is_live:
        state.clock = state.clock.model_copy(update={"promoted_by": command.actor})
    else:
        state.entry = state.entry.model_copy(update={"overridden_by": command.actor})
