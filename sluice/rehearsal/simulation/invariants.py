"""The invariants of every rollout, checked from outside.

The monitor has the plan, the true health at each check, people's commands and the flag in the store.
It reads the state only for rules about the state.
"""

from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import Finding, State, Status
from sluice.rollout.plan.schema import RolloutPlan, Step

EVENTS_TO_ZERO_MAX = 60
SLACK = timedelta(minutes=10)
RESET_NOTICED_WITHIN = timedelta(minutes=30)
"""Two polls of the watch, and what comes between them."""


class BrokenInvariantError(Exception):
    """An invariant was violated; the message names it."""


class InvariantMonitor:
    """Monitor of one rollout; it raises BrokenInvariantError at the first violation."""

    def __init__(self, plan: RolloutPlan) -> None:
        self._plan = plan
        self._permission = "started by a person"
        self._check_passed: dict[str, bool] = {}
        self._approvers: set[str] = set()
        self._events_since_p0: int | None = None
        self._rolled_back = False
        self._p1_at: datetime | None = None
        self._cap = 0.0
        self.tampered = False
        self.writes_refused_until: datetime | None = None
        self._reset_at: datetime | None = None

    def record_reset(self, now: datetime) -> None:
        """Forget what the lost future found, as the rollout itself does."""
        self._p1_at, self._reset_at = None, now

    def record_check(self, step: Step, *, healthy: bool) -> None:
        """Record a check of the live step; ``healthy`` is the true health, not the verdict."""
        self._check_passed[step.name] = healthy

    def record_command(self, verb: Verb, command: Command) -> None:
        """Record a person's accepted command."""
        if verb in (Verb.PROMOTE, Verb.RETRY):
            self._permission = f"{verb} by {command.actor}"
        if verb is Verb.APPROVE:
            self._approvers.add(command.actor)
        if verb is Verb.RETRY:
            self._rolled_back = False
        if verb is Verb.ROLLBACK and command.emergency:
            self._events_since_p0 = 0
        if verb not in (Verb.APPROVE, Verb.ATTEST, Verb.PROMOTE):
            self._p1_at = None

    def record_finding(self, finding: Finding, state: State, now: datetime) -> None:
        """Record a finding of the watch."""
        self._approvers.clear()
        severity = finding.verdict.severity
        if severity is Severity.P0 or finding.kind == "killed":
            self._events_since_p0 = 0
        elif severity is Severity.P1 and state.status is not Status.DEGRADED:
            self._p1_at = self._p1_at or now

    def check_write(
        self, state: State, before: float, after: float, *, entering_step: bool
    ) -> None:
        """Check a write of the flag; ``entering_step`` when it switches a step on."""
        self._reset_at = None
        if self._events_since_p0 is not None:
            if after > 0:
                raise BrokenInvariantError(f"after a P0 the next percentage is {after:g}, not 0")
            self._events_since_p0, self._rolled_back, self._p1_at = None, True, None
        if not entering_step:
            self._rolled_back, self._permission = True, ""
            if after > before and not self.tampered and not state.plan.steps[-1].delete_flag:
                raise BrokenInvariantError(f"a rollback raised {before:g} to {after:g} %")
            return
        if after > before:
            self._check_increase(state, before, after)
        self._permission = ""
        if state.step is not None and state.step.percentage is not None:
            self.tampered = False
        self._check_passed.pop(state.step.name if state.step else "", None)
        self._approvers.clear()

    def _check_increase(self, state: State, before: float, after: float) -> None:
        text, step = f"raised {before:g} to {after:g} %", state.step
        if step is None or after > (step.percentage or 0):
            raise BrokenInvariantError(f"{text}, above the plan's current step")
        earlier = self._plan.steps[state.step_index - 1] if state.step_index else None
        well = earlier is not None and self._check_passed.get(earlier.name, False)
        if self._rolled_back and not self._permission:
            raise BrokenInvariantError(f"{text} after a rollback, without a person's retry")
        if not well and not self._permission:
            raise BrokenInvariantError(f"{text} without a Successful check or a person's command")
        if step.approval and len(self._approvers) < step.approval.required_approvals:
            raise BrokenInvariantError(f"{text} with {len(self._approvers)} approvals")
        if any(item.name not in state.attestations for item in step.checklist):
            raise BrokenInvariantError(f"{text} before its checklist was complete")

    def check_store(self, state: State, store: float, now: datetime) -> None:
        """Check the store after every event."""
        so_far = self._plan.steps[: state.step_index + 1]
        highest = max(100.0 if s.delete_flag else s.percentage or 0.0 for s in so_far)
        if store > highest and not self.tampered and not self._is_reset_noticed_later(state, now):
            raise BrokenInvariantError(
                f"{store:g} % is above the plan's current step, {highest:g} %"
            )
        if self._events_since_p0 is not None and store > 0:
            self._events_since_p0 += 1
            if self._events_since_p0 > EVENTS_TO_ZERO_MAX:
                raise BrokenInvariantError(f"a P0 was found, and the flag stays at {store:g} %")
        if self.writes_refused_until and now < self.writes_refused_until + SLACK:
            return
        acts_after = self._plan.escalation.p1_rolls_back_after
        if self._p1_at is not None and store > 0 and now > self._p1_at + acts_after + SLACK:
            raise BrokenInvariantError(f"a P1 was not acted on and the flag stays at {store:g} %")

    def _is_reset_noticed_later(self, state: State, now: datetime) -> bool:
        """Return True while the watch need not have found that the store is ahead of a reset.

        No watch compares the flag before the first percentage, nor while no step is live:
        `sluice doctor` and `sluice status` find it then.
        """
        if self._reset_at is None:
            return False
        noticed_from = max(self._reset_at, self.writes_refused_until or self._reset_at)
        is_watched = state.live.name and self._owns_flag(state.live.name)
        return not is_watched or now <= noticed_from + RESET_NOTICED_WITHIN

    def _owns_flag(self, step: str) -> bool:
        reached = self._plan.steps[: self._plan.index(step) + 1]
        is_created = any(past.percentage is not None for past in reached)
        return is_created and not reached[-1].delete_flag

    def check_end(self, state: State, store: float) -> None:
        """Check the end: only two are legal, each with its flag value."""
        if state.status is Status.ABORTED:
            if store > 0 or state.percentage > 0:
                raise BrokenInvariantError(f"Aborted, and the flag is at {store:g} %")
        elif state.status is Status.HEALTHY:
            missing = [s.name for s in self._plan.steps if s.name not in state.completed_steps]
            if missing or state.step is not None:
                raise BrokenInvariantError(f"Healthy without {', '.join(missing)}")
        else:
            raise BrokenInvariantError(f"ended as {state.status}")
