"""An approval starts a step only while the readings that it was given on are fresh."""

from datetime import timedelta

from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.approvals import approval_expires_at
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import EnterStep, LapseApprovals, decide
from sluice.rollout.plan.freeze_windows import Freeze
from tests.unit.rollout.engine.test_decide import ALICE, START, RolloutMachine

HOUR = timedelta(hours=1)


def machine_waiting_for_approval() -> RolloutMachine:
    machine = RolloutMachine()
    while not (machine.state.step and machine.state.step.approval):
        machine.run(steps=1)
    machine.state.entry = machine.state.entry.model_copy(update={"approvals": ()})
    return machine


def freeze(machine: RolloutMachine, days: int) -> None:
    first = machine.now.date()
    dates = f"{first}..{first + timedelta(days=days)}"
    window = Freeze.model_validate({"name": "holidays", "dates": dates})
    machine.state.plan = machine.state.plan.model_copy(update={"freezes": (window,)})


def approval(machine: RolloutMachine) -> Command:
    shown = machine.state.checks.latest
    return ALICE.model_copy(update={"evidence": shown.id if shown else ""})


def test_a_fresh_approval_starts_the_step() -> None:
    machine = machine_waiting_for_approval()
    machine.command(Verb.APPROVE)
    assert isinstance(decide(machine.state, machine.now), EnterStep)


def test_an_old_approval_is_void_when_what_it_waited_for_is_over() -> None:
    """33 days in a freeze: the midnight at which it ends starts nothing."""
    machine = machine_waiting_for_approval()
    machine.command(Verb.APPROVE)
    machine.now += timedelta(days=33)
    assert isinstance(decide(machine.state, machine.now), LapseApprovals)
    machine.execute(decide(machine.state, machine.now), machine.outcome)
    assert machine.state.entry.approvals == ()
    assert not isinstance(decide(machine.state, machine.now), EnterStep)


def test_an_approval_that_the_freeze_outlasts_is_refused() -> None:
    machine = machine_waiting_for_approval()
    freeze(machine, days=3)
    reason = rejection_reason(machine.state, Verb.APPROVE, approval(machine), machine.now)
    assert "an approval holds for 1h, so approve after it" in reason


def test_the_wait_for_an_approval_does_not_expire_in_a_freeze() -> None:
    machine = machine_waiting_for_approval()
    step = machine.state.step
    assert step is not None
    assert step.approval is not None
    policy = step.approval.model_copy(update={"expires_after": 2 * HOUR})
    step = step.model_copy(update={"approval": policy})
    assert approval_expires_at(machine.state, step) == machine.state.waiting_since + 2 * HOUR
    freeze(machine, days=3)
    expires_at = approval_expires_at(machine.state, step)
    assert expires_at is not None
    assert expires_at > START + timedelta(days=3)
