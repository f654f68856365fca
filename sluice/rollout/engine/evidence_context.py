"""From the state of a rollout to what its statistical gates need, and back; and the budget of α."""

from collections.abc import Mapping
from datetime import datetime

from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState
from sluice.rollout.engine.state import State
from sluice.rollout.plan.alpha_budget import (
    FULL_PERCENTAGE,
    RuleGroup,
    allocate_alpha,
    gate_alpha,
    gate_counts_users,
    statistical_gates,
)
from sluice.rollout.plan.schema import Step


def build_evidence_context(state: State, group: RuleGroup, step: Step) -> EvidenceContext | None:
    """What the statistical gates of the step need; None when there are none, or nothing is live."""
    gates, since = statistical_gates(getattr(step, group)), state.exposed_since
    if not gates or since is None:
        return None
    found = {gate.name: _gate_state(state, group, gate, since) for gate in gates}
    split = allocate_alpha(state.plan)
    return EvidenceContext(
        since=since,
        share=state.percentage / FULL_PERCENTAGE,
        alphas={gate.name: gate_alpha(state.plan, group, gate, split) for gate in gates},
        sequential_states={name: track for name, track in found.items() if track is not None},
    )


def _gate_state(
    state: State, place: RuleGroup, gate: Gate, since: datetime
) -> SequentialState | None:
    """The gate's evidence; none of an earlier step where users are counted anew in each."""
    track = state.sequential_states.get(f"{place}/{gate.name}")
    if track is None or track.until is None or not gate_counts_users(state.plan, gate):
        return track
    return track if track.until > since else None


def merge_evidence(state: State, group: RuleGroup, states: Mapping[str, SequentialState]) -> None:
    """Put the tracks that a check or a watch came back with into the state."""
    state.sequential_states = {
        **state.sequential_states,
        **{f"{group}/{name}": track for name, track in states.items()},
    }


def alpha_summary(state: State) -> str:
    """For ``status``: how much of the budget is spent, by which gates; empty without any."""
    split = allocate_alpha(state.plan, state.sequential_states)
    return split.text() if split else ""
