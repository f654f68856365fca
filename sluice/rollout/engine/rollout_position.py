"""The progress of a rollout, as far as an amendment of its plan must leave it alone."""

from sluice.rollout.engine.state import State
from sluice.rollout.plan.amendment import RolloutPosition


def rollout_position(state: State) -> RolloutPosition:
    """Return the progress that an amendment must leave alone."""
    exposed = state.exposed_step
    live = state.plan.index(exposed.name) if exposed else -1
    has_entered = state.is_live or state.rollback is not None
    entered = state.step_index if has_entered else state.step_index - 1
    return RolloutPosition(
        live=live,
        entered=max(live, min(entered, len(state.plan.steps) - 1)),
        evidence=state.sequential_states,
        has_baseline=bool(state.baseline),
    )
