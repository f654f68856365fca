"""Evidence that the ledger holds: rows that the rollout received, and rows that it did not."""

from sluice.rollout.engine.evidence_chain import EvidenceHead
from sluice.rollout.engine.state import State


def receive_evidence(state: State, digest: str, rows: int = 1) -> None:
    """Move the chain's head to the last of ``rows`` new rows."""
    update = {"count": state.evidence.count + rows, "digest": digest}
    state.evidence = state.evidence.model_copy(update=update)


def drop_evidence(state: State, *keys: str) -> None:
    """Record that these rows may be in the ledger, though their result did not arrive."""
    dropped = (*state.evidence.dropped, *keys)
    state.evidence = state.evidence.model_copy(update={"dropped": dropped})


def take_evidence_head(state: State) -> EvidenceHead:
    """Return the head for a new event. Dropped rows are named once."""
    head = state.evidence
    state.evidence = head.model_copy(update={"dropped": ()})
    return head
