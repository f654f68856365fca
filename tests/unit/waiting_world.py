"""A step that waits, as pure state: the clock, the answers and the readings are the test's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from rollout import moves, waiting
from rollout.before import checklist
from rollout.checklist import Answer
from rollout.commands import Command, Verb
from rollout.decide import CheckNow, Decision, Enter, Expire, LookThrough, Promote, Wait, decide
from rollout.permit import refusal
from rollout.plan import RolloutPlan, Step
from rollout.plan_yaml import parse_plan
from rollout.state import State
from rollout.verdict import Check, Outcome, Verdict

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
      - {name: done, title: Stages done, check: steps}
      - {name: held, title: Dark for a while, check: held, at_least: 90m}
    approval: {approvers: 2, of: [ann, bob, cyd], evidence_max_age: 30m, expires_after: 1d}
    interval: 10m
    hold: 1h
    deadline: 2h
    gates: [{metric: errors, threshold: 1%, window: 5m}]
"""


def plan(old: str = "", new: str = "") -> RolloutPlan:
    assert old in PLAN
    return parse_plan(PLAN.replace(old, new, 1))


def by(actor: str, evidence: str = "", item: str = "") -> Command:
    return Command(actor=actor, reason="test", evidence=evidence, item=item)


class World:
    """A rollout as pure state: the clock, the answers and the readings are the test's."""

    def __init__(self, of: RolloutPlan | None = None) -> None:
        self.state = State(rollout_id="r", run_id="1", plan=of or plan(), started_at=START)
        self.now = START
        self.outcome = Outcome.SUCCESSFUL
        self.stores_well = True
        self.entered: list[tuple[str, datetime]] = []

    def check(self) -> None:
        state, step = self.state, self.state.checked_step
        assert step is not None
        verdict = Verdict(gate="errors", outcome=self.outcome, because=f"errors {self.outcome}")
        one = Check(
            id=f"{step.name}/{state.checks}", at=self.now, step=step.name, verdicts=(verdict,)
        )
        if state.step_started_at is None:
            waiting.looked_again(state, self.now, one)
        else:
            moves.checked(state, self.now, one)

    def act(self) -> Decision:
        decision = decide(self.state, self.now)
        match decision:
            case Enter():
                assert self.state.step is not None
                self.entered.append((self.state.step.name, self.now))
                moves.entered(self.state, self.now, self.state.step.percentage or 0)
            case CheckNow():
                self.check()
            case LookThrough():
                waiting.answered(self.state, self.now, tuple(self.answers(decision)))
            case Expire():
                waiting.expired(self.state, self.now, decision.because)
            case Promote():
                moves.promoted(self.state, self.now, decision.because)
            case Wait():
                until = decision.until or self.now + 10 * MINUTE
                self.now = min(max(until, self.now + MINUTE), self.now + 10 * MINUTE)
            case _:
                self.now += MINUTE
        return decision

    def answers(self, decision: LookThrough) -> Iterator[Answer]:
        for item in decision.items:
            yield Answer(item=item.name, passed=self.stores_well, because="seen", at=self.now)

    def until_waiting(self) -> None:
        """Let the first step end well, and the second look at its checklist."""
        while self.state.step_index == 0 or not isinstance(self.act(), Wait):
            if self.state.step_index == 0:
                self.act()

    def say(self, verb: Verb, command: Command) -> str:
        if reason := refusal(self.state, verb, command, self.now):
            return reason
        moves.taken(self.state, self.now, verb, command)
        return ""

    def newest(self) -> str:
        assert self.state.evidence is not None
        return self.state.evidence.id

    def complete(self) -> None:
        """Everything that the step waits for, but approvals."""
        assert self.say(Verb.ATTEST, by("ann", item="trained")) == ""
        while any(not line.done for line in checklist(self.state, self.step(), self.now)):
            self.act()

    def step(self) -> Step:
        assert self.state.step is not None
        return self.state.step
