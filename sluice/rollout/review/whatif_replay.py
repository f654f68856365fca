"""Endings of steps by ``sluice.rollout.engine.decide`` on recorded checks, from their entry on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.verdict import Check, Outcome
from sluice.rollout.engine import transitions
from sluice.rollout.engine.decide import (
    Pause,
    Promote,
    RecordFinding,
    RollBack,
    RunCheck,
    Wait,
    decide,
)
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Finding, State
from sluice.rollout.plan.schema import RolloutPlan

DECISIONS_MAX = 100_000
ENDING_NAMES: dict[type, str] = {Promote: "promoted", RollBack: "rolled back", Pause: "paused"}
RECORDED_ENDINGS = {
    "promote": ("promoted",),
    "rollback": ("rolled back",),
    "pause": ("paused",),
    "red_flag": ("rolled back", "paused"),
}
"""Replayed endings that agree with each kind of recorded event."""
ENDING_EVENT_KINDS = ("promote", "rollback", "pause", "red_flag", "end")


class StepEnding(Model):
    """The end of a step by its rules alone; kind ``undecided``: its record ends first."""

    kind: str
    at: datetime
    reason: str


class StepReplay(Model):
    """One time a step was live: how its rules decide as recorded, and as edited."""

    step: str
    entered_at: datetime
    recorded: str
    recorded_kind: str = ""
    before: StepEnding
    after: StepEnding

    @property
    def differs(self) -> bool:
        return (self.before.kind, self.before.at) != (self.after.kind, self.after.at)

    @property
    def is_reproduced(self) -> bool:
        """Return True if the recorded rules and readings lead to the recorded end."""
        endings = RECORDED_ENDINGS.get(self.recorded_kind, ())
        return not self.recorded_kind or self.before.kind in endings


@dataclass(frozen=True)
class RecordedEvidence:
    """All that was measured, as recorded or as judged again; findings only where they (still) fire."""

    plan: RolloutPlan
    checks: Sequence[Check]
    findings: Sequence[Finding]


def replay_steps(
    events: Sequence[Event], before: RecordedEvidence, after: RecordedEvidence
) -> Iterator[StepReplay]:
    """Yield every step in order, up to the first that would have ended otherwise.

    Nothing was measured on the course after that one, so the replay stops there.
    """
    lives = [event for event in events if event.kind == "step" and event.step is not None]
    for number, live in enumerate(lives):
        until = lives[number + 1].at if number + 1 < len(lives) else None
        step_events = [e for e in events if e.at > live.at and (until is None or e.at < until)]
        ended = next((e for e in step_events if e.kind in ENDING_EVENT_KINDS), None)
        visit = StepReplay(
            step=live.step or "",
            entered_at=live.at,
            recorded=f"{ended.kind}: {ended.text}" if ended else "nothing was decided yet",
            recorded_kind=ended.kind if ended else "",
            before=_replay_step(before, live, until),
            after=_replay_step(after, live, until),
        )
        yield visit
        if visit.differs:
            return


def _replay_step(evidence: RecordedEvidence, live: Event, until: datetime | None) -> StepEnding:
    def within(at: datetime) -> bool:
        return at > live.at and (until is None or at < until)

    state, now = _state_on_entry(evidence.plan, live), live.at
    checks = [c for c in evidence.checks if c.step == live.step and within(c.at)]
    findings = [finding for finding in evidence.findings if within(finding.seen_at)]
    for _ in range(DECISIONS_MAX):
        if findings and findings[0].seen_at <= now:
            transitions.raise_finding(state, now, findings.pop(0))
        decision = decide(state, now)
        if isinstance(decision, Promote | RollBack | Pause):
            return StepEnding(kind=ENDING_NAMES[type(decision)], at=now, reason=decision.reason)
        if isinstance(decision, RecordFinding):
            transitions.record_finding(state, now, decision.finding)
        elif isinstance(decision, RunCheck) and checks:
            check = checks.pop(0)
            now = max(now, check.at)
            transitions.record_check(state, now, decision.step, check)
        elif isinstance(decision, Wait) and decision.until is not None:
            now = min(at for at in (decision.until, *(f.seen_at for f in findings)) if at > now)
        else:
            break
    return StepEnding(
        kind="undecided",
        at=now,
        reason=f"its record ends before it is decided: {_undecided_reason(state)}",
    )


def _undecided_reason(state: State) -> str:
    check = state.clock.check
    if check is None:
        return "no check was recorded"
    if check.outcome is Outcome.SUCCESSFUL:
        return f"{check.id} was Successful, but that had not lasted yet"
    return check.reason


def _state_on_entry(plan: RolloutPlan, live: Event) -> State:
    """Return the state at the step's entry, without baselines: they were recorded by then."""
    plan = plan.model_copy(update={"baselines": ()})
    state = State(
        rollout_id="what-if",
        run_id="what-if",
        plan=plan,
        started_at=live.at,
        step_index=plan.index(live.step or ""),
    )
    step = plan.step(live.step or "")
    transitions.enter_step(state, live.at, step, live.percentage or 0.0)
    return state
