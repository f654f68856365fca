"""The hash chain of decision records: a change to any of them breaks every later hash.

Each record's hash covers the hash before it, so altering, removing, inserting or reordering rows
shows, as long as the last hash (the head) is known from elsewhere: the workflow or the report.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from sluice.identity.errors import ChainError
from sluice.identity.verification import Proof, Signer

GENESIS = "0" * 64
"""Hash before the first record."""


class ChainedRecord(BaseModel):
    """One decision as it was accepted. ``signer`` and ``proof`` None: an unverified claim."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: int
    previous: str
    rollout_id: str
    verb: str
    actor: str
    reason: str
    step: str
    percentage: float
    evidence: str
    at: datetime
    signer: Signer | None = None
    proof: Proof | None = None


def record_hash(record: ChainedRecord) -> str:
    """Compute the SHA-256 of a record in canonical JSON."""
    values = record.model_dump(mode="json")
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def append_record(record: ChainedRecord, length: int, head: str) -> tuple[ChainedRecord, str]:
    """Link a record to a chain of ``length`` records; return it with the chain's new head."""
    linked = record.model_copy(update={"position": length, "previous": head or GENESIS})
    return linked, record_hash(linked)


def verify_chain(records: Sequence[ChainedRecord], rollout_id: str, head: str = "") -> str:
    """Return the head of the chain that ``records`` form; compare it with ``head`` if given.

    Raises:
        ChainError: names the first record that does not continue the chain.
    """
    previous = GENESIS
    for position, record in enumerate(records):
        if record.rollout_id != rollout_id:
            raise ChainError(position, f"belongs to {record.rollout_id}, not to {rollout_id}")
        if record.position != position:
            raise ChainError(position, f"its place is {record.position}: removed or reordered rows")
        if record.previous != previous:
            raise ChainError(position, "its previous hash does not fit the record before it")
        previous = record_hash(record)
    if head and previous != head:
        raise ChainError(len(records), f"the chain ends in {previous[:16]}, expected {head[:16]}")
    return previous
