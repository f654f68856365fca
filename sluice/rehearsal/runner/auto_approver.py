"""The auto-approver: approves waiting steps, and ends when only a person could continue.

It is a workflow, so that it runs on the same skipped time as the rollout.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.exceptions import TimeoutError as WorkflowTimeoutError

with workflow.unsafe.imports_passed_through():
    from activities.measuring.blindness import BLIND
    from sluice.rehearsal.runner.adapters import workflow_time
    from sluice.rollout.analysis.gate import Model
    from sluice.rollout.engine.admission import rejection_reason
    from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
    from sluice.rollout.engine.state import State, Status
    from sluice.rollout.plan.schema import Step
    from workflows.rollout_workflow import RolloutWorkflow

APPROVER = "auto-approver"
MINUTE = timedelta(minutes=1)
STALL_TIMEOUT = timedelta(hours=1)
STALLED = "RolloutStalled"
REASON = "approved by the rehearsal"


class ApproverStatus(Model):
    """The result of one look at the rollout: its last state, or the time of the next look."""

    last_state: State | None = None
    poll_after_seconds: float = 60.0


@workflow.defn
class AutoApprover:
    """Workflow that approves for the rollout until only a real person could continue."""

    def __init__(self) -> None:
        self._is_paused = False

    @workflow.signal
    def on_pause(self) -> None:
        """Look soon: the rollout is about to pause, and only a person can mend the cause."""
        self._is_paused = True

    @workflow.run
    async def run(self, rollout: str) -> State:
        """Return the rollout's state as of then: the clock may skip hours before anybody asks."""
        while True:
            look: ApproverStatus = await workflow.execute_activity(
                "advance_rollout",
                rollout,
                result_type=ApproverStatus,
                start_to_close_timeout=timedelta(minutes=1),
            )
            if look.last_state is not None:
                return look.last_state
            await self._wait(look.poll_after_seconds)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._is_paused, timeout=seconds)
        if self._is_paused:
            self._is_paused = False
            await workflow.sleep(MINUTE)


def approver_id(queue: str) -> str:
    """Return the workflow id of the approver that works on this task queue."""
    return f"approver-{queue}"


@dataclass(frozen=True)
class ApproverActivities:
    """Queries and updates of the rollout on behalf of the auto-approver."""

    client: Client

    @activity.defn(name="advance_rollout")
    async def advance(self, rollout: str) -> ApproverStatus:
        handle = self.client.get_workflow_handle(rollout)
        state = await handle.query(RolloutWorkflow.get_state)
        if ends_rehearsal(state):
            return ApproverStatus(last_state=state)
        if (command := next_command(state, workflow_time())) is not None:
            await handle.execute_update(*command, result_type=Acknowledgement)
            return ApproverStatus(poll_after_seconds=1.0)
        _, until = await handle.query(RolloutWorkflow.get_waiting)
        if is_stalled(until, workflow_time()):
            raise ApplicationError(
                f"the rollout has not changed since {until}",
                type=STALLED,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,  # the rehearsal begins again
            )
        return ApproverStatus(poll_after_seconds=_seconds_until_poll(state, until, workflow_time()))


def is_stalled(until: datetime | None, now: datetime) -> bool:
    """Return True when the rollout still waits long after its timer was due.

    About once in dozens of rehearsals, the test server (1.40) never completes a workflow task that
    began in the same milliseconds as a due timer. Its workflow then gets no further events.
    """
    return until is not None and now - until > STALL_TIMEOUT


def is_stall_error(error: WorkflowFailureError) -> bool:
    """Return True when the test server lost the rollout, or the auto-approver itself.

    No time limit is set for the auto-approver. Without its task no timer remains, and the server
    skips to its own limit of ten years.
    """
    cause: BaseException | None = error.cause
    if isinstance(cause, WorkflowTimeoutError):
        return True
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    return cause is not None and cause.type == STALLED


def needs_real_person(state: State) -> bool:
    """Return True when only a person's decision can continue the rollout."""
    if state.status is Status.DEGRADED:
        return state.rollback is not None and state.rollback.completed_at is not None
    return state.has_ended or (state.pause is not None and state.pause.auto_rollback_at is None)


def ends_rehearsal(state: State) -> bool:
    """Return True when nothing can be rehearsed any more.

    A pause without readings is such a case: a person must mend the metrics first.
    """
    is_blind = state.pause is not None and BLIND in state.red_flags.muted
    return is_blind or needs_real_person(state)


def next_command(state: State, now: datetime) -> tuple[Verb, Command] | None:
    """Return the command that the state waits for, or None."""
    step = state.step
    if step is None or state.clock.started_at is not None:
        return None
    for item in step.checklist:
        word = Command(actor=APPROVER, reason=REASON, item=item.name)
        if not rejection_reason(state, Verb.ATTEST, word, now):
            return Verb.ATTEST, word
    latest_id = state.checks.latest.id if state.checks.latest else ""
    for actor in _approvers(step):
        approval = Command(actor=actor, reason=REASON, evidence=latest_id)
        if not rejection_reason(state, Verb.APPROVE, approval, now):
            return Verb.APPROVE, approval
    return None


def _approvers(step: Step) -> tuple[str, ...]:
    """Return the approvers of the plan, or else as many invented ones as it requires."""
    if step.approval is None:
        return ()
    return step.approval.eligible_approvers or tuple(
        f"{APPROVER}-{n + 1}" for n in range(step.approval.required_approvals)
    )


def _seconds_until_poll(state: State, until: datetime | None, now: datetime) -> float:
    """Return the seconds until the rollout may need a command again, and a margin."""
    times = [
        until,
        state.promotable_at,
        state.pause.auto_rollback_at if state.pause else None,
        *_checklist_due_times(state),
    ]
    later = [at for at in times if at is not None and at > now]
    return ((max(later) if later else now) + MINUTE - now).total_seconds()


def _checklist_due_times(state: State) -> Iterator[datetime]:
    """Return the due times of the waiting step's checklist, which is checked each hour."""
    step, since = state.step, state.live.since
    if step is not None and since is not None and state.clock.started_at is None:
        yield from (since + item.at_least for item in step.checklist if item.at_least)
