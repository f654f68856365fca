"""How steps would have ended: ``rollout.decide`` on recorded checks, from the moment each went live."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollout import moves
from rollout.decide import CheckNow, Hold, Note, Promote, RollBack, Wait, decide
from rollout.gate import Model
from rollout.plan import RolloutPlan
from rollout.state import Event, Finding, State
from rollout.verdict import Check, Outcome

DECISIONS_MAX = 100_000
ENDED: dict[type, str] = {Promote: "promoted", RollBack: "rolled back", Hold: "paused"}
ENDS = ("promote", "rollback", "pause", "red_flag", "end")


class Ending(Model):
    """What becomes of a step by its rules alone; ``waits``: its record ends before they decide."""

    kind: str
    at: datetime
    because: str


class Visit(Model):
    """One time a step was live: how its rules decide as recorded, and as edited."""

    step: str
    entered_at: datetime
    recorded: str
    before: Ending
    after: Ending

    @property
    def differs(self) -> bool:
        return (self.before.kind, self.before.at) != (self.after.kind, self.after.at)


@dataclass(frozen=True)
class Evidence:
    """All that was measured, as recorded or as judged again; findings only where they (still) fire."""

    plan: RolloutPlan
    checks: Sequence[Check]
    findings: Sequence[Finding]


def visits(events: Sequence[Event], before: Evidence, after: Evidence) -> Iterator[Visit]:
    """Every step in order, up to the first that would have ended otherwise.

    What comes after that one was never measured, so it can't be told.
    """
    lives = [event for event in events if event.kind == "step" and event.step is not None]
    for number, live in enumerate(lives):
        until = lives[number + 1].at if number + 1 < len(lives) else None
        mine = [e for e in events if e.at > live.at and (until is None or e.at < until)]
        ended = next((e for e in mine if e.kind in ENDS), None)
        visit = Visit(
            step=live.step or "",
            entered_at=live.at,
            recorded=f"{ended.kind}: {ended.text}" if ended else "nothing was decided yet",
            before=_ending(before, live, until),
            after=_ending(after, live, until),
        )
        yield visit
        if visit.differs:
            return


def _ending(evidence: Evidence, live: Event, until: datetime | None) -> Ending:
    def within(at: datetime) -> bool:
        return at > live.at and (until is None or at < until)

    state, now = _entered(evidence.plan, live), live.at
    checks = [c for c in evidence.checks if c.step == live.step and within(c.at)]
    findings = [one for one in evidence.findings if within(one.seen_at)]
    for _ in range(DECISIONS_MAX):
        if findings and findings[0].seen_at <= now:
            moves.found(state, now, findings.pop(0))
        decision = decide(state, now)
        if isinstance(decision, tuple(ENDED)):
            because = getattr(decision, "because", "")
            return Ending(kind=ENDED[type(decision)], at=now, because=because)
        if isinstance(decision, Note):
            moves.noted(state, now)
        elif isinstance(decision, CheckNow) and checks:
            check = checks.pop(0)
            now = max(now, check.at)
            moves.checked(state, now, check)
        elif isinstance(decision, Wait) and decision.until is not None:
            now = min(at for at in (decision.until, *(f.seen_at for f in findings)) if at > now)
        else:
            break
    return Ending(
        kind="waits", at=now, because=f"its record ends before it is decided: {_last(state)}"
    )


def _last(state: State) -> str:
    check = state.check
    if check is None:
        return "no check was recorded"
    if check.outcome is Outcome.SUCCESSFUL:
        return f"{check.id} was Successful, but that had not lasted yet"
    return check.because


def _entered(plan: RolloutPlan, live: Event) -> State:
    """The state as the step went live; baselines are taken to be recorded, as they were."""
    plan = plan.model_copy(update={"baselines": ()})
    state = State(rollout_id="what-if", run_id="what-if", plan=plan, started_at=live.at)
    state.step_index = plan.index(live.step or "")
    moves.entered(state, live.at, live.percentage or 0.0)
    return state
