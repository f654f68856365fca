"""Checking recorded decisions offline: does each event hold a proof of exactly that decision?"""

from collections.abc import Sequence
from datetime import datetime

from sluice.identity.errors import ProofRejectedError
from sluice.identity.keyring import Keyring
from sluice.identity.statement import Statement, parse_statement
from sluice.identity.verification import verify_signature
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.decision_context import LOWERING_VERBS, START
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.model import Model

DECISION_KINDS = frozenset({START, *Verb})


class AuditedDecision(Model):
    """One decision of a person. ``fingerprint`` empty: a claim, or a command that only lowers."""

    position: int
    at: datetime
    kind: str
    actor: str
    fingerprint: str
    text: str


def audit_decisions(
    events: Sequence[Event], rollout_id: str, keyring: Keyring | None
) -> tuple[AuditedDecision, ...]:
    """List the decisions of people; with a keyring, verify each proof at the time of its event.

    Raises:
        IdentityError: the first event whose proof does not authorize what it records.
    """
    people = [e for e in events if e.kind in DECISION_KINDS and e.actor != "sluice"]
    if keyring is not None:
        _require_no_gap(people)
    return tuple(_audit(event, rollout_id, keyring) for event in people)


def _require_no_gap(people: Sequence[Event]) -> None:
    """From the first proven decision on, the worker had a keyring: each raise must be proven."""
    has_keyring = False
    for event in people:
        has_keyring = has_keyring or event.signer is not None
        if has_keyring and event.signer is None and event.kind not in LOWERING_VERBS:
            raise ProofRejectedError(f"event {event.position} ({event.kind}) has no proof")


def _audit(event: Event, rollout_id: str, keyring: Keyring | None) -> AuditedDecision:
    mark = "unverified"
    if event.signer is not None:
        mark = f"signed {event.signer.fingerprint}"
        if keyring is not None:
            _require_proof(event, rollout_id, keyring)
            mark = f"proven {event.signer.fingerprint}"
    return AuditedDecision(
        position=event.position,
        at=event.at,
        kind=event.kind,
        actor=event.actor,
        fingerprint=event.signer.fingerprint if event.signer else "",
        text=f"{event.kind} by {event.actor} ({mark}): {event.text or 'no reason given'}",
    )


def _require_proof(event: Event, rollout_id: str, keyring: Keyring) -> None:
    if event.proof is None:
        raise ProofRejectedError(f"event {event.position} ({event.kind}) has no proof")
    statement = parse_statement(event.proof.statement)
    _require_same(event, statement, rollout_id)
    signer = verify_signature(event.proof, keyring, None, event.at)
    if signer != event.signer:
        raise ProofRejectedError(f"event {event.position} names another signer than its proof")


def _require_same(event: Event, statement: Statement, rollout_id: str) -> None:
    rollout, _, run = rollout_id.partition("/")
    recorded = (rollout, "" if event.kind == START else run, event.kind, event.actor)
    signed = (statement.rollout, statement.run, statement.verb, statement.actor)
    if recorded != signed or statement.reason not in event.text:
        raise ProofRejectedError(f"event {event.position} differs from what {event.actor} signed")
