"""A P1 that a person answers for neither pauses nor pages again until the time is over."""

from datetime import timedelta

import pytest

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine import transitions
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import RollBack, SendReminder, Wait, decide
from sluice.rollout.engine.state import Finding, RollbackKind, Status
from tests.unit.rollout.engine.test_decide import RolloutMachine
from tests.unit.rollout.engine.test_decide import finding as red_flag


def finding(severity: Severity) -> Finding:
    return red_flag(severity).model_copy(update={"name": "slow_start"})


SIX_HOURS = timedelta(hours=6)
ACKNOWLEDGE = Command(actor="alice", reason="known", item="slow_start", duration=SIX_HOURS)


def machine_at_p1(severity: Severity = Severity.P1) -> RolloutMachine:
    """Return a rollout at 5 % that a finding has just reached, acted on."""
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    transitions.raise_finding(machine.state, machine.now, finding(severity))
    machine.run(steps=1)
    return machine


def acknowledge(machine: RolloutMachine, command: Command = ACKNOWLEDGE) -> None:
    assert not rejection_reason(machine.state, Verb.ACKNOWLEDGE, command, machine.now)
    transitions.apply_command(machine.state, machine.now, Verb.ACKNOWLEDGE, command)


def test_an_acknowledged_pause_does_not_roll_back_by_itself() -> None:
    machine = machine_at_p1()
    pause = machine.state.pause
    assert pause is not None
    assert pause.auto_rollback_at is not None
    acknowledge(machine)
    decision = decide(machine.state, pause.auto_rollback_at)
    assert not isinstance(decision, RollBack)
    assert machine.state.status is Status.PAUSED


def test_one_of_two_acknowledged_findings_still_rolls_back() -> None:
    machine = machine_at_p1()
    other = finding(Severity.P1).model_copy(update={"name": "latency"})
    transitions.raise_finding(machine.state, machine.now, other)
    machine.run(steps=1)
    acknowledge(machine)
    pause = machine.state.pause
    assert pause is not None
    assert pause.auto_rollback_at is not None
    assert isinstance(decide(machine.state, pause.auto_rollback_at), RollBack)


def test_an_acknowledged_finding_stays_silent_after_resume_and_in_the_next_step() -> None:
    machine = machine_at_p1()
    acknowledge(machine)
    machine.command(Verb.RESUME)
    assert machine.state.silent_findings == ("slow_start",)
    machine.command(Verb.PROMOTE)
    machine.run(steps=2)
    assert "slow_start" in machine.state.silent_findings


def test_the_finding_counts_again_once_the_time_is_over() -> None:
    """The decision wakes at that time, whatever else the rollout waits for."""
    machine = machine_at_p1()
    acknowledge(machine)
    decision = decide(machine.state, machine.now)
    assert isinstance(decision, Wait)
    assert decision.until is not None
    assert decision.until <= machine.now + SIX_HOURS
    machine.now += SIX_HOURS
    assert isinstance(decide(machine.state, machine.now), SendReminder)
    machine.run(steps=1)
    assert machine.state.silent_findings == ()
    assert "counts again" in " ".join(event.text for event in machine.state.timeline)


def test_a_second_acknowledgement_replaces_the_time_of_the_first() -> None:
    machine = machine_at_p1()
    acknowledge(machine)
    acknowledge(machine, ACKNOWLEDGE.model_copy(update={"duration": timedelta(hours=1)}))
    (record,) = machine.state.red_flags.acknowledged
    assert record.until == machine.now + timedelta(hours=1)


def test_a_rollback_voids_acknowledgements() -> None:
    machine = machine_at_p1()
    acknowledge(machine)
    transitions.start_rollback(machine.state, machine.now, RollbackKind.EMERGENCY, ACKNOWLEDGE)
    machine.run(steps=1)
    assert machine.state.silent_findings == ()
    assert "rolled back" in rejection_reason(
        machine.state, Verb.ACKNOWLEDGE, ACKNOWLEDGE, machine.now
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"item": "unknown"}, "found: slow_start"),
        ({"duration": None}, "at most 7d"),
        ({"duration": timedelta(0)}, "at most 7d"),
        ({"duration": timedelta(days=8)}, "at most 7d"),
    ],
)
def test_an_acknowledgement_names_a_finding_and_a_time(
    changes: dict[str, object], reason: str
) -> None:
    machine = machine_at_p1()
    command = ACKNOWLEDGE.model_copy(update=changes)
    assert reason in rejection_reason(machine.state, Verb.ACKNOWLEDGE, command, machine.now)


def test_a_p0_cannot_be_acknowledged() -> None:
    machine = machine_at_p1(Severity.P2)
    transitions.raise_finding(machine.state, machine.now, finding(Severity.P0))
    reason = rejection_reason(machine.state, Verb.ACKNOWLEDGE, ACKNOWLEDGE, machine.now)
    assert "P0" in reason


def test_an_acknowledged_name_does_not_silence_a_later_steps_p0() -> None:
    """The same red flag may be a P1 at 5 % and a P0 at 100 %."""
    machine = machine_at_p1()
    acknowledge(machine)
    step = machine.state.exposed_step
    assert step is not None
    flag = next(gate for gate in step.red_flags if gate.severity is Severity.P0)
    record = machine.state.red_flags.acknowledged[0].model_copy(update={"name": flag.name})
    machine.state.red_flags = machine.state.red_flags.model_copy(update={"acknowledged": (record,)})
    assert machine.state.silent_findings == ()


def test_a_persons_pause_does_not_mute_a_p0_that_just_fired() -> None:
    """Both may arrive at once; the P0 is acted on whatever was applied first."""
    machine = machine_at_p1(Severity.P3)
    transitions.raise_finding(machine.state, machine.now, finding(Severity.P0))
    transitions.apply_command(machine.state, machine.now, Verb.PAUSE, ACKNOWLEDGE)
    assert isinstance(decide(machine.state, machine.now), RollBack)


def test_a_noted_finding_counts_again_in_the_next_step() -> None:
    """Another percentage is another exposure: a P2 noted at 5 % does not silence 100 %."""
    machine = machine_at_p1(Severity.P2)
    assert "slow_start" in machine.state.red_flags.muted
    machine.command(Verb.PROMOTE)
    for _ in range(50):
        machine.run(steps=1)
        if machine.state.percentage == 100:
            break
    assert machine.state.percentage == 100
    assert not machine.state.red_flags.muted
