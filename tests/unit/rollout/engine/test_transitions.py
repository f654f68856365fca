"""The clock of a step: a pause at its deadline, and time in which nobody looked."""

from datetime import timedelta

from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.flag_target import FlagReceipt
from sluice.rollout.engine.state import Status
from tests.unit.rollout.engine.test_decide import ALICE, RolloutMachine


def machine_resumed_after_deadline() -> RolloutMachine:
    """At 5 %, whose deadline is 3 h; it was never clear how it does; resumed a day later."""
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    while machine.state.status is not Status.PAUSED:
        machine.run(Outcome.INCONCLUSIVE, steps=1)
    assert machine.state.pause is not None
    assert machine.state.pause.reason.endswith("resume gives it 3h more")
    machine.now += timedelta(days=1)
    transitions.apply_command(machine.state, machine.now, Verb.RESUME, ALICE)
    return machine


def test_a_resumed_step_can_complete_within_the_new_deadline() -> None:
    """Without new time the first check would pause it again, for it can't be stable by then."""
    machine = machine_resumed_after_deadline()
    machine.run(Outcome.INCONCLUSIVE, steps=4)
    assert machine.state.status is Status.PROGRESSING
    while machine.state.step_index == 2:
        machine.run(steps=1)
    assert machine.state.completed_steps["ramp-5"] == "every gate was Successful"
    assert machine.state.clock.extended_deadline is None, "the next step has its own time"


def test_it_is_paused_again_when_the_new_time_is_over() -> None:
    machine = machine_resumed_after_deadline()
    resumed_at = machine.now
    while machine.state.status is not Status.PAUSED:
        machine.run(Outcome.INCONCLUSIVE, steps=1)
    assert timedelta(hours=3) <= machine.now - resumed_at < timedelta(hours=3, minutes=20)


def test_a_pause_before_the_deadline_changes_nothing_about_it() -> None:
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    machine.run(Outcome.INCONCLUSIVE, steps=4)
    held = machine.state.soak_time(machine.now)
    assert held < timedelta(hours=3)
    transitions.apply_command(machine.state, machine.now, Verb.PAUSE, ALICE)
    machine.now += timedelta(days=1)
    transitions.apply_command(machine.state, machine.now, Verb.RESUME, ALICE)
    assert (machine.state.soak_time(machine.now), machine.state.clock.extended_deadline) == (
        held,
        None,
    )


def test_time_without_checks_counts_neither_as_hold_nor_as_stable() -> None:
    """Two good checks with three days without a worker between them are not three days of proof."""
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    while machine.state.check_count == 0 or machine.state.clock.check is None:
        machine.run(steps=1)
    held, step = machine.state.soak_time(machine.now), machine.state.step_index
    machine.now += timedelta(hours=71)
    machine.run(steps=1)
    assert machine.state.clock.check is not None
    assert machine.state.clock.stable_since == machine.state.clock.check.at == machine.now
    assert machine.state.soak_time(machine.now) < held + timedelta(minutes=30)
    assert "unwatched for 2d22h" in machine.state.timeline[-1].text
    machine.run(steps=2)
    assert machine.state.step_index == step, "the step goes on from where it was left"


def test_a_check_that_comes_a_little_late_is_no_gap() -> None:
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    while machine.state.clock.check is None:
        machine.run(steps=1)
    stable_since = machine.state.clock.stable_since
    due_at = machine.state.clock.next_check_at
    assert due_at is not None
    machine.now = due_at + machine.state.plan.steps[2].interval
    machine.run(steps=1)
    assert machine.state.clock.stable_since == stable_since


def test_a_rollback_catches_up_with_the_store_after_a_reset() -> None:
    """The next step's write would otherwise be refused as a late one of the lost future."""
    state = RolloutMachine().state
    receipt = FlagReceipt(percentage=0, run_id=state.run_id, sequence=7)
    transitions.catch_up(state, receipt)
    assert state.sequence == 7
    transitions.catch_up(state, receipt.model_copy(update={"run_id": "other", "sequence": 9}))
    assert state.sequence == 7
