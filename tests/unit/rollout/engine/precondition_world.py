"""A step that waits, as pure state: the clock, the answers and the readings are the test's."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine import transitions
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decide import (
    Decision,
    EnterStep,
    Finish,
    Pause,
    RecordFinding,
    RollBack,
    RunCheck,
    SendReminder,
    Wait,
    decide,
)
from sluice.rollout.engine.executor import execute
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.preconditions import checklist_rows
from sluice.rollout.engine.state import State, Status
from sluice.rollout.engine.world import CheckRequest, CheckResult
from sluice.rollout.plan.checklist import ChecklistItem, ItemResult
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan, Step

START = datetime(2026, 11, 23, 8, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)
PLAN = """
name: p
flag: f
metrics: {errors: {query: e, unit: ratio}}
freezes: [{name: weekend, days: sat-sun, reason: rest}]
checklists: {retry_every: 1m, valid_for: 1h}
steps:
  - name: dark
    title: Dark
    stage: 3
    percentage: 0
    interval: 10m
    hold: 1h
    deadline: 2h
    gates: [{metric: errors, threshold: 1%, window: 5m}]
  - name: ramp
    title: Ramp
    stage: 4
    percentage: 50
    rollback_to: dark
    checklist:
      - {name: stores, title: Stores, check: stores}
      - {name: trained, title: Team trained}
      - {name: done, title: Stages done, check: earlier_steps}
      - {name: held, title: Dark for a while, check: live_time, at_least: 90m}
    approval: {required_approvals: 2, eligible_approvers: [ann, bob, cyd], evidence_max_age: 30m, expires_after: 1d}
    interval: 10m
    hold: 1h
    deadline: 2h
    gates: [{metric: errors, threshold: 1%, window: 5m}]
"""


def plan_with(old: str = "", new: str = "") -> RolloutPlan:
    assert old in PLAN
    return parse_plan(PLAN.replace(old, new, 1))


def command_by(actor: str, evidence: str = "", item: str = "") -> Command:
    return Command(actor=actor, reason="test", evidence=evidence, item=item)


class PreconditionWorld:
    """A world in memory: the clock, the answers and the readings are the test's."""

    def __init__(self, rollout_plan: RolloutPlan | None = None) -> None:
        self.state = State(
            rollout_id="r", run_id="1", plan=rollout_plan or plan_with(), started_at=START
        )
        self.now = START
        self.outcome = Outcome.SUCCESSFUL
        self.stores_healthy = True
        self.step_entries: list[tuple[str, datetime]] = []

    def check_now(self) -> None:
        step = self.state.step_under_check
        assert step is not None
        self.execute(RunCheck(step, live=self.state.is_live))

    def execute(self, decision: Decision) -> None:
        """Carry a decision out; none of the world's coroutines suspends."""
        with pytest.raises(StopIteration):
            execute(self.state, lambda: self.now, decision, self).send(None)

    def execute_next(self) -> Decision:
        decision = decide(self.state, self.now)
        if isinstance(decision, EnterStep):
            self.step_entries.append((decision.step.name, self.now))
        if isinstance(decision, Finish | RollBack | RecordFinding | SendReminder | Pause):
            self.now += MINUTE  # nothing that these tests are about
        else:
            self.execute(decision)
        return decision

    async def write(self, write: FlagWrite) -> FlagReceipt:
        return FlagReceipt(percentage=write.percentage or 0)

    async def check(self, request: CheckRequest) -> CheckResult:
        verdict = Verdict(gate="errors", outcome=self.outcome, reason=f"errors {self.outcome}")
        check = Check(id=request.id, at=request.at, step=request.step, verdicts=(verdict,))
        return CheckResult(check=check)

    async def run_checklist(
        self, step: Step, items: tuple[ChecklistItem, ...]
    ) -> tuple[ItemResult, ...]:
        return tuple(
            ItemResult(item=item.name, passed=self.stores_healthy, reason="seen", at=self.now)
            for item in items
        )

    async def confirm(self, receipt: FlagReceipt) -> str:
        return "all of them"

    async def report(self, status: Status) -> str:
        return "report.md"

    async def wait(self, until: datetime | None, reason: str) -> None:
        until = until or self.now + 10 * MINUTE
        self.now = min(max(until, self.now + MINUTE), self.now + 10 * MINUTE)

    def run_until_waiting(self) -> None:
        """Let the first step end well, and the second look at its checklist."""
        while self.state.step_index == 0 or not isinstance(self.execute_next(), Wait):
            if self.state.step_index == 0:
                self.execute_next()

    def submit(self, verb: Verb, command: Command) -> str:
        if reason := rejection_reason(self.state, verb, command, self.now):
            return reason
        transitions.apply_command(self.state, self.now, verb, command)
        return ""

    def newest_evidence_id(self) -> str:
        assert self.state.checks.latest is not None
        return self.state.checks.latest.id

    def complete_checklist(self) -> None:
        """Everything that the step waits for, but approvals."""
        assert self.submit(Verb.ATTEST, command_by("ann", item="trained")) == ""
        while any(
            not line.done for line in checklist_rows(self.state, self.current_step(), self.now)
        ):
            self.execute_next()

    def current_step(self) -> Step:
        assert self.state.step is not None
        return self.state.step
