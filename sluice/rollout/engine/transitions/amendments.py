"""An amended plan takes the place of the running one."""

from datetime import datetime

from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.rollout_position import rollout_position
from sluice.rollout.engine.state import State
from sluice.rollout.engine.step_progress import PendingEntry
from sluice.rollout.engine.transitions.notices import add_event
from sluice.rollout.plan.amendment import compare_plans
from sluice.rollout.plan.schema import RolloutPlan

CHANGES_SHOWN = 20


def amend(state: State, now: datetime, command: Command) -> None:
    """Take the command's plan; stability starts again, and what was approved of a changed step is void."""
    amended = command.plan
    assert amended is not None  # noqa: S101  admission requires it
    changes = compare_plans(state.plan, amended, rollout_position(state))
    listed_changes = [change.text for change in changes[:CHANGES_SHOWN]]
    rest = len(changes) - len(listed_changes)
    text = "; ".join(listed_changes + ([f"and {rest} more"] if rest else []))
    _forget_changed_items(state, amended)
    _void_changed_entry(state, amended)
    state.clock = state.clock.model_copy(update={"stable_since": None})
    state.plan = amended
    add_event(state, now, "plan", text)


def _void_changed_entry(state: State, amended: RolloutPlan) -> None:
    """Void approvals, overrides and promotions of the step that waits, unless it stays as it is."""
    before = state.step
    after = amended.steps[state.step_index] if state.step_index < len(amended.steps) else None
    if before != after and not state.is_live:
        state.entry = PendingEntry(eligible_since=state.entry.eligible_since)


def _forget_changed_items(state: State, amended: RolloutPlan) -> None:
    """Keep the results and attestations of checklist items that stay as they are."""
    before, after = (
        {i.name: i for s in p.steps for i in s.checklist} for p in (state.plan, amended)
    )
    unchanged = {name for name, item in after.items() if before.get(name) == item}
    state.item_results = {k: v for k, v in state.item_results.items() if k in unchanged}
    state.attestations = {k: v for k, v in state.attestations.items() if k in unchanged}
