"""A step that was paused at its deadline, and resumed: its deadline begins anew (docs/decisions/011)."""

from datetime import timedelta

from rollout import moves
from rollout.commands import Verb
from rollout.state import Status
from rollout.verdict import Outcome
from tests.unit.test_decide import ALICE, Machine


def paused_at_the_deadline() -> Machine:
    """At 5 %, whose deadline is 3 h; it was never clear how it does; resumed a day later."""
    machine = Machine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    while machine.state.status is not Status.PAUSED:
        machine.run(Outcome.INCONCLUSIVE, steps=1)
    assert machine.state.paused_because.endswith("resume gives it 3h more")
    machine.now += timedelta(days=1)
    moves.taken(machine.state, machine.now, Verb.RESUME, ALICE)
    return machine


def test_it_goes_on_and_may_end_well() -> None:
    """Without new time the first check would pause it again, for it can't be stable by then."""
    machine = paused_at_the_deadline()
    machine.run(Outcome.INCONCLUSIVE, steps=4)
    assert machine.state.status is Status.PROGRESSING
    while machine.state.step_index == 2:
        machine.run(steps=1)
    assert machine.state.ended_well["ramp-5"] == "every gate was Successful"
    assert machine.state.overdue_after is None, "the next step has its own time"


def test_it_is_paused_again_when_the_new_time_is_over() -> None:
    machine = paused_at_the_deadline()
    resumed_at = machine.now
    while machine.state.status is not Status.PAUSED:
        machine.run(Outcome.INCONCLUSIVE, steps=1)
    assert timedelta(hours=3) <= machine.now - resumed_at < timedelta(hours=3, minutes=20)


def test_a_pause_before_the_deadline_changes_nothing_about_it() -> None:
    machine = Machine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    machine.run(Outcome.INCONCLUSIVE, steps=4)
    held = machine.state.held_for(machine.now)
    assert held < timedelta(hours=3)
    moves.taken(machine.state, machine.now, Verb.PAUSE, ALICE)
    machine.now += timedelta(days=1)
    moves.taken(machine.state, machine.now, Verb.RESUME, ALICE)
    assert (machine.state.held_for(machine.now), machine.state.overdue_after) == (held, None)
