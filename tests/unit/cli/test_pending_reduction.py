"""A rollback or an abort that the flag store has not taken is not shown as done."""

from rich.console import Console

from sluice.cli.views.rollout import rollout_panel
from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.flag_target import describe_pending_reduction
from sluice.rollout.engine.state import RollbackKind, State
from tests.unit.rollout.engine.test_decide import ALICE, START, new_state
from workflows.context import RolloutContext


def panel_text(state: State) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(rollout_panel(state, ("soaking", None), START, {}))
    return capture.get()


def test_a_reduction_that_is_not_written_is_what_the_rollout_waits_for() -> None:
    """The store was frozen: the screen had "soaking" and "rolled back" while 25 % were served."""
    state = new_state()
    assert describe_pending_reduction(state) == ""
    rollback = transitions.start_rollback(state, START, RollbackKind.EMERGENCY, ALICE)
    waiting_for, until = RolloutContext(state).waiting
    assert "rolling back (emergency): the flag store" in waiting_for
    assert until is None
    assert "rolling back (emergency)" in panel_text(state)
    state.rollback = rollback.model_copy(update={"completed_at": START})
    assert describe_pending_reduction(state) == ""
    assert "rolled back (emergency)" in panel_text(state)
    transitions.apply_command(state, START, Verb.ABORT, ALICE)
    assert describe_pending_reduction(state).startswith("aborting: the flag store")
