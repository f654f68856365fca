"""The fencing rules: which run's writes a flag accepts.

The newest run that claimed a flag owns it. Sequence numbers only grow; the last one may repeat
until somebody else writes. A flag nobody owns goes to the first fenced writer, unless that run
has lost it before. A write without a fence is a person's: it is accepted, and ends repeats.
"""

from __future__ import annotations

from sluice.flags.document import FenceState
from sluice.flags.errors import FencedError
from sluice.flags.write_metadata import Fence

PAST_OWNERS_MAX = 100


def claim(state: FenceState, subject: str, run_id: str) -> FenceState:
    """Return the state with `run_id` as owner; raise FencedError if it owned the flag before."""
    if state.owner == run_id:
        return state
    _reject_past_owner(state, subject, run_id)
    return FenceState(owner=run_id, past_owners=_past_owners(state))


def advance(state: FenceState, subject: str, fence: Fence | None) -> FenceState:
    """Return the state after a write under `fence`; raise FencedError if it comes too late."""
    if fence is None:
        return state.model_copy(update={"repeatable": False})
    if state.owner is None:
        state = claim(state, subject, fence.run_id)
    if state.owner != fence.run_id:
        _reject_past_owner(state, subject, fence.run_id)
        raise FencedError(
            f"{subject} belongs to run {state.owner!r}; run {fence.run_id!r} must claim it first"
        )
    if fence.sequence < state.sequence + (not state.repeatable):
        raise FencedError(
            f"{subject}: write {fence.sequence} of run {fence.run_id!r} comes too late; "
            f"{state.sequence} was applied" + ("" if state.repeatable else " and overridden since")
        )
    return state.model_copy(update={"sequence": fence.sequence, "repeatable": True})


def retire(state: FenceState, fence: Fence | None) -> FenceState:
    """Return what must be remembered of a deleted flag.

    A run that deletes its own flag may need it back: the rollback of a rollout whose last step made
    the treatment permanent. Its later writes may create the flag again; everybody else's run, and
    the owner of a flag that a person deleted, has lost it.
    """
    if fence is not None and fence.run_id == state.owner:
        return state.model_copy(update={"repeatable": False})
    return FenceState(past_owners=_past_owners(state))


def revive(state: FenceState, fence: Fence | None) -> FenceState:
    """Return what a flag starts with whose name was used before."""
    if fence is not None and fence.run_id == state.owner:
        return state
    return FenceState(past_owners=_past_owners(state))


def _past_owners(state: FenceState) -> tuple[str, ...]:
    owners = state.past_owners + ((state.owner,) if state.owner else ())
    return owners[-PAST_OWNERS_MAX:]


def _reject_past_owner(state: FenceState, subject: str, run_id: str) -> None:
    if run_id in state.past_owners:
        raise FencedError(
            f"{subject}: run {run_id!r} lost it"
            + (f" to run {state.owner!r}" if state.owner else " when the flag was deleted")
        )
