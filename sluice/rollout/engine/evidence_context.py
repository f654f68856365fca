"""The context of the statistical gates, built from a rollout's state; and the budget of α."""

from datetime import datetime

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState
from sluice.rollout.engine.state import State
from sluice.rollout.plan.alpha_budget import (
    RuleGroup,
    allocate_alpha,
    gate_alpha,
    gate_counts_users,
    statistical_gates,
)
from sluice.rollout.plan.schema import Step


def build_evidence_context(state: State, group: RuleGroup, step: Step) -> EvidenceContext | None:
    """Return the context of the step's statistical gates; None without any, or if nothing is live."""
    gates, since = statistical_gates(getattr(step, group)), state.live.since
    if not gates or since is None:
        return None
    states = {gate.name: _gate_state(state, group, gate, since) for gate in gates}
    split, where = allocate_alpha(state.plan), (group, step.name)
    return EvidenceContext(
        since=since,
        share=state.percentage / FULL_PERCENTAGE,
        alphas={gate.name: gate_alpha(state.plan, where, gate, split) for gate in gates},
        sequential_states={name: past for name, past in states.items() if past is not None},
    )


def _gate_state(
    state: State, group: RuleGroup, gate: Gate, since: datetime
) -> SequentialState | None:
    """Return the gate's evidence; for a gate that counts users, only that of the live step."""
    past = state.sequential_states.get(f"{group}/{gate.name}")
    if past is None or past.until is None or not gate_counts_users(state.plan, gate):
        return past
    return past if past.until > since else SequentialState(attempt=past.attempt)


def alpha_summary(state: State) -> str:
    """Return the spent part of the budget by gate, for ``status``; empty without such gates."""
    split = allocate_alpha(state.plan, state.sequential_states)
    return split.text() if split else ""
