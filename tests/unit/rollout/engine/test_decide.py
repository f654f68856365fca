"""The rollout as a pure machine: random readings, commands and times, and what must always hold."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine import transitions
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import (
    Decision,
    EnterStep,
    Promote,
    RecordFinding,
    RollBack,
    RunCheck,
    decide,
)
from sluice.rollout.engine.executor import execute
from sluice.rollout.engine.flag_target import (
    FlagReceipt,
    FlagWrite,
    flag_at_zero,
    flag_for_rollback,
    phases_at,
)
from sluice.rollout.engine.state import Finding, RollbackKind, State, Status
from sluice.rollout.engine.step_progress import LiveStep
from sluice.rollout.engine.transitions import add_event, start_rollback
from sluice.rollout.engine.world import CheckRequest, CheckResult, WorldError
from sluice.rollout.plan.checklist import ChecklistItem, ItemResult
from sluice.rollout.plan.schema import Step
from tests.workflows.harness import short_plan

START = datetime(2026, 11, 24, tzinfo=UTC)
ALICE = Command(actor="alice", reason="because")
MINUTE = timedelta(minutes=1)


def new_state() -> State:
    return State(rollout_id="r", run_id="1", plan=short_plan(), started_at=START)


def verdict(outcome: Outcome, severity: Severity = Severity.P0, gate: str = "errors") -> Verdict:
    return Verdict(gate=gate, outcome=outcome, reason=f"{gate} {outcome}", severity=severity)


def finding(severity: Severity, kind: str = "red_flag") -> Finding:
    broken = verdict(Outcome.FAILED, severity, "error_spike")
    return Finding.model_validate(
        {"name": "error_spike", "kind": kind, "verdict": broken, "seen_at": START}
    )


class RolloutMachine:
    """A world in memory: its clock is the test's, and its readings are what the test draws."""

    def __init__(self) -> None:
        self.state, self.now = new_state(), START
        self.percentages: list[float] = []
        self.outcome = Outcome.SUCCESSFUL

    def execute(self, decision: Decision, outcome: Outcome) -> None:
        """Carry a decision out; none of the world's coroutines suspends."""
        self.outcome = outcome
        with pytest.raises(StopIteration):
            execute(self.state, lambda: self.now, decision, self).send(None)
        rollback = self.state.rollback
        if isinstance(decision, RollBack) and rollback is not None:
            transitions.confirm_rollback(self.state, self.now, rollback, "all of them")

    def check_now(self, outcome: Outcome) -> None:
        step = self.state.step_under_check
        assert step is not None
        self.execute(RunCheck(step, live=self.state.is_live), outcome)

    async def write(self, write: FlagWrite) -> FlagReceipt:
        self.percentages.append(write.percentage or 0)
        return FlagReceipt(percentage=self.percentages[-1])

    async def check(self, request: CheckRequest) -> CheckResult:
        reading = Reading(metric="errors", cohort="control", at=self.now, value=0.0, samples=99)
        return CheckResult(
            check=Check(
                id=request.id,
                at=request.at,
                step=request.step,
                verdicts=(verdict(self.outcome),),
            ),
            baseline={"errors": reading} if request.baseline_gates else {},
        )

    async def run_checklist(
        self, step: Step, items: tuple[ChecklistItem, ...]
    ) -> tuple[ItemResult, ...]:
        raise WorldError(f"the plan of this test has no checklist at {step.name}")

    async def confirm(self, receipt: FlagReceipt) -> str:
        return "all of them"

    async def report(self, status: Status) -> str:
        return "report.md"

    async def wait(self, until: datetime | None, reason: str) -> None:
        self.now = max(until or self.now, self.now) + MINUTE

    def run(self, outcome: Outcome = Outcome.SUCCESSFUL, steps: int = 500) -> None:
        for _ in range(steps):
            if self.state.has_ended:
                return
            self.execute(decide(self.state, self.now), outcome)
            if "approval" in str(decide(self.state, self.now)):
                self.command(Verb.APPROVE)

    def command(self, verb: Verb) -> None:
        """Apply Alice's command on the newest readings, if it fits."""
        shown = self.state.checks.latest
        by = ALICE.model_copy(update={"evidence": shown.id if shown else ""})
        if not rejection_reason(self.state, verb, by, self.now):
            transitions.apply_command(self.state, self.now, verb, by)


OUTCOMES = st.sampled_from(list(Outcome))
EVENTS = st.one_of(
    st.tuples(st.just("go"), OUTCOMES),
    st.tuples(st.just("command"), st.sampled_from(list(Verb))),
    st.tuples(st.just("finding"), st.sampled_from(list(Severity))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=120))
def test_traffic_rises_only_by_a_good_check_or_a_person(events: list[tuple[str, object]]) -> None:
    """Never a raise without a Successful check or a command; after a P0 the next is 0; legal ends."""
    machine = RolloutMachine()
    for kind, what in events:
        state = machine.state
        if state.has_ended:
            break
        if kind == "finding" and state.percentage > 0 and state.red_flags.finding is None:
            transitions.raise_finding(state, machine.now, finding(Severity(str(what))))
        elif kind == "command":
            machine.command(Verb(str(what)))
        elif kind == "go":
            before, step = state.percentage, state.step_index
            p0 = (
                state.red_flags.finding is not None
                and state.red_flags.finding.verdict.severity is Severity.P0
            )
            decision = decide(state, machine.now)
            if isinstance(decision, Promote):
                good = (
                    state.clock.check is not None
                    and state.clock.check.outcome is Outcome.SUCCESSFUL
                )
                assert good or state.clock.promoted_by == "alice"
            machine.execute(decision, Outcome(str(what)))
            assert state.percentage <= before or isinstance(decision, EnterStep)
            if p0:
                assert state.percentage == 0
            assert state.step_index in (step, step + 1)


def test_a_good_rollout_takes_every_step_in_order() -> None:
    """The plan's own percentages and nothing else."""
    machine = RolloutMachine()
    machine.run()
    assert machine.state.status is Status.HEALTHY
    assert machine.percentages == [0, 0, 5, 100, 0]


@pytest.mark.parametrize("outcome", [Outcome.ERROR, Outcome.INCONCLUSIVE])
def test_ten_errors_do_not_add_up_to_a_pass(outcome: Outcome) -> None:
    """Nothing is promoted and nothing rolled back on readings that say nothing: a person is asked."""
    machine = RolloutMachine()
    machine.run(outcome, steps=60)
    assert machine.state.status is Status.PAUSED
    assert machine.state.step_index == 0


def test_failing_at_the_deadline_of_a_first_step_asks_a_person_or_rolls_back() -> None:
    """A step without a target goes to 0 %, because it has no traffic to keep."""
    machine = RolloutMachine()
    machine.run(Outcome.FAILED, steps=60)
    assert machine.state.status is Status.DEGRADED
    assert machine.state.percentage == 0


def test_stability_restarts_at_each_check_that_is_not_successful() -> None:
    """``stable_for`` means without interruption."""
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    for outcome in (Outcome.SUCCESSFUL, Outcome.ERROR, Outcome.SUCCESSFUL):
        machine.check_now(outcome)
        machine.now += timedelta(minutes=40)
    assert machine.state.clock.stable_since == machine.now - timedelta(minutes=40)
    assert isinstance(decide(machine.state, machine.now), RunCheck)


def test_low_severities_are_noted_and_stay_silent() -> None:
    """P2 and P3 (guide): continue monitoring; the same one is not noted twice."""
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    transitions.raise_finding(machine.state, machine.now, finding(Severity.P2))
    assert isinstance(decide(machine.state, machine.now), RecordFinding)
    machine.run(steps=1)
    assert machine.state.red_flags.muted == ("error_spike",)
    assert machine.state.percentage == 5


def test_a_step_back_while_waiting_goes_back_from_the_live_step() -> None:
    """Exposed at 5 % and waiting for the approval of 100 %: back means to the dark, not to 5 %."""
    state = new_state()
    state.step_index, state.live = 3, LiveStep(name="ramp-5")
    assert start_rollback(state, START, RollbackKind.STEP_BACK, ALICE).to_step == "dark"


def test_a_step_back_never_raises() -> None:
    """After an emergency and a retry nothing is live: back from 100 % means 0 %, not the 5 % before."""
    state = new_state()
    state.step_index, state.live = 3, LiveStep()
    asked = start_rollback(state, START, RollbackKind.STEP_BACK, ALICE)
    assert asked.to_step is None
    assert flag_for_rollback(state, asked).percentage == 0


def test_an_emergency_is_never_replaced_by_a_step_back() -> None:
    """The stronger rollback wins over a person's weaker one."""
    state = new_state()
    first = start_rollback(state, START, RollbackKind.EMERGENCY, ALICE)
    assert start_rollback(state, START, RollbackKind.STEP_BACK, ALICE) is first


def test_zero_after_the_cleanup_puts_the_flag_back_before_the_learner() -> None:
    """Learning is permanent then; taking traffic away means a flag at 0 % in front of it again."""
    state = new_state()
    state.step_index = 4
    zero = flag_at_zero(state, kill=True)
    assert (zero.percentage, zero.create, zero.killed) == (0, True, True)
    assert zero.phases is not None
    assert zero.phases.enable_feature_flags


def test_a_red_flag_before_any_exposure_switches_the_suspect_off() -> None:
    """In the dark stage nobody is exposed: what goes back are the phases."""
    state = new_state()
    state.step_index = 1
    assert flag_at_zero(state, kill=True).phases == state.plan.steps[0].phases
    assert phases_at(state.plan, 3) == state.plan.steps[1].phases


def test_a_rejected_command_states_the_reason() -> None:
    """Each refusal names the state; the whole table in one place."""
    state = new_state()
    assert "no wait to skip" in rejection_reason(state, Verb.PROMOTE, ALICE, START)
    assert "nothing to go back to" in rejection_reason(state, Verb.ROLLBACK, ALICE, START)
    assert (
        rejection_reason(state, Verb.ROLLBACK, ALICE.model_copy(update={"emergency": True}), START)
        == ""
    )
    transitions.pause(state, START, "lunch")
    assert "only a Progressing one" in rejection_reason(state, Verb.PAUSE, ALICE, START)
    assert "only a Progressing one" in rejection_reason(state, Verb.PROMOTE, ALICE, START)
    transitions.apply_command(state, START, Verb.ABORT, ALICE)
    assert "being aborted by alice" in rejection_reason(state, Verb.RESUME, ALICE, START)
    assert rejection_reason(state, Verb.ABORT, ALICE, START) == ""
    transitions.finish(state, START, Status.ABORTED, "r.md")
    assert "has ended" in rejection_reason(state, Verb.ABORT, ALICE, START)


def test_one_person_cannot_approve_twice() -> None:
    """n-of-m means different people."""
    state = new_state()
    state.step_index = 3
    assert rejection_reason(state, Verb.APPROVE, ALICE, START) == ""
    transitions.apply_command(state, START, Verb.APPROVE, ALICE)
    assert "somebody else must" in rejection_reason(state, Verb.APPROVE, ALICE, START)


def test_the_timeline_is_bounded() -> None:
    """A month of events must fit continue-as-new."""
    state = new_state()
    for number in range(1000):
        add_event(state, START, "note", str(number))
    assert len(state.timeline) == 300
    assert state.timeline[-1].text == "999"
