"""The hash chain of the timeline: changing one recorded event breaks every later digest.

Each event's digest covers the digest before it. Altered, removed, inserted or reordered rows show,
as long as the last digest is known from elsewhere: the workflow's state or the report.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from sluice.rollout.engine.commands import Proof, Signer
from sluice.rollout.engine.evidence_chain import EvidenceHead
from sluice.rollout.model import Model


class Event(Model):
    """One line of the timeline. ``actor`` is ``sluice`` unless a person did it.

    ``signer`` is set when a keyring has verified the person; ``proof`` is what was verified.
    ``finding`` is a red flag's finding as JSON. ``evidence`` anchors the ledger's other rows.
    ``position`` counts from 1; ``digest`` links the event to all before it (``event_chain``).
    """

    at: datetime
    kind: str
    text: str
    actor: str = "sluice"
    step: str | None = None
    percentage: float | None = None
    signer: Signer | None = None
    proof: Proof | None = None
    finding: str = ""
    evidence: EvidenceHead = EvidenceHead()
    position: int = 0
    digest: str = ""

    @property
    def proof_text(self) -> str:
        """Proof of the author, in words; empty for what sluice did itself."""
        if self.actor == "sluice":
            return ""
        if self.signer is None:
            return "unverified"
        if self.signer.gateway:
            return "login, vouched for by the console (repudiable)"
        return f"signed {self.signer.fingerprint}"


class EventChainError(Exception):
    """Events that do not form one chain. ``position`` is the first one that does not fit."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"event {position}: {message}")
        self.position = position


def link_event(event: Event, last: Event | None, rollout_id: str) -> Event:
    """Append an event to the chain that ends in ``last``, or begin the rollout's chain."""
    position = last.position + 1 if last else 1
    positioned = event.model_copy(update={"position": position})
    previous = last.digest if last else _genesis(rollout_id)
    return positioned.model_copy(update={"digest": _digest(positioned, previous)})


def verify_chain(events: Sequence[Event], rollout_id: str, head: str = "") -> str:
    """Return the digest of the last event; compare it with ``head`` if given.

    Raises:
        EventChainError: names the first event that does not continue the chain.
    """
    previous = _genesis(rollout_id)
    for position, event in enumerate(events, start=1):
        if event.position != position:
            raise EventChainError(position, f"found event {event.position} in its place")
        if event.digest != _digest(event, previous):
            raise EventChainError(position, "its digest does not fit its content and predecessor")
        previous = event.digest
    if head and previous != head:
        message = f"the chain ends in {previous[:16]}, expected {head[:16]}: rows are missing"
        raise EventChainError(len(events) + 1, message)
    return previous


def _genesis(rollout_id: str) -> str:
    return hashlib.sha256(rollout_id.encode()).hexdigest()


def _digest(event: Event, previous: str) -> str:
    content = event.model_dump(mode="json", exclude={"digest", *_absent_fields(event)})
    text = json.dumps([previous, content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _absent_fields(event: Event) -> set[str]:
    """Leave out what an event of 0.2 did not have, so that its digest still fits."""
    absent = {"finding"} if not event.finding else set[str]()
    return absent | ({"evidence"} if event.evidence == EvidenceHead() else set[str]())
