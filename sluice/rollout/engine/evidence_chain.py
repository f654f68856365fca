"""The hash chain of evidence: checks, and what the rollout leaves behind at its end.

Each row of the ledger has a digest of its content and of the row before it. Events hold the chain's
head, so the chain of the timeline (``event_chain``) covers the evidence too.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.rollout.model import Model


class EvidenceHead(Model):
    """The last row that the rollout has received, as of one event.

    ``dropped`` has the keys of rows since the event before, whose results never reached the rollout.
    The ledger may hold them. No decision rests on them.
    """

    count: int = 0
    digest: str = ""
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One row of the ledger, in the order of writing."""

    key: str
    content: str
    digest: str


class EvidenceChainError(Exception):
    """Rows that are not the evidence that the rollout received. The message names the first."""


class UnchainedEvidenceError(EvidenceChainError):
    """A row without a digest: it is of the format before evidence was chained, or no worker wrote it."""


def link_evidence(rollout_id: str, previous: str, content: str) -> str:
    """Return the digest of a row that follows the row with digest ``previous``, if there is one."""
    text = json.dumps([rollout_id, previous, content], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def verify_evidence(
    rows: Sequence[EvidenceRow], heads: Sequence[EvidenceHead], rollout_id: str
) -> int:
    """Return the number of rows after the newest head: the rollout has not confirmed them yet.

    Raises:
        EvidenceChainError: the first row that was altered, removed, inserted or moved.
        UnchainedEvidenceError: the first row of a format that cannot be verified.
    """
    dropped = {key for head in heads for key in head.dropped}
    for row in rows:
        if not row.digest and row.key not in dropped:
            raise UnchainedEvidenceError(f"{row.key} has no digest")
    confirmed = {head.count: head.digest for head in heads if head.count}
    if not confirmed:
        return len(rows)
    received = [row for row in rows if row.key not in dropped]
    digest = ""
    for count, row in enumerate(received, start=1):
        digest = link_evidence(rollout_id, digest, row.content)
        if digest != row.digest:
            raise EvidenceChainError(f"{row.key} does not fit its digest and the row before it")
        if confirmed.get(count, digest) != digest:
            raise EvidenceChainError(
                f"{row.key} or a row before it is not what the rollout received"
            )
    last = max(confirmed, default=0)
    if last > len(received):
        raise EvidenceChainError(
            f"{last - len(received)} rows are missing after row {len(received)}"
        )
    return len(received) - last
