"""The rehearsing person: approves what waits for approval, and says when there is nothing left to do.

A workflow of its own, so that the person lives in the same skipped time as the rollout.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

with workflow.unsafe.imports_passed_through():
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
REASON = "a rehearsal: nobody is harmed"


class ApproverStatus(Model):
    """What the person saw: ``over``, or when to look again."""

    done: bool
    poll_after_seconds: float = 60.0


@workflow.defn
class AutoApprover:
    """Looks at the rollout whenever it may need somebody, until only a real person could go on."""

    @workflow.run
    async def run(self, rollout: str) -> None:
        while True:
            look: ApproverStatus = await workflow.execute_activity(
                "advance_rollout",
                rollout,
                result_type=ApproverStatus,
                start_to_close_timeout=timedelta(minutes=1),
            )
            if look.done:
                return
            await workflow.sleep(look.poll_after_seconds)


@dataclass(frozen=True)
class ApproverActivities:
    """The person's eyes and hands: queries and updates of the rollout."""

    client: Client

    @activity.defn(name="advance_rollout")
    async def advance(self, rollout: str) -> ApproverStatus:
        handle = self.client.get_workflow_handle(rollout)
        state = await handle.query(RolloutWorkflow.get_state)
        if needs_real_person(state):
            return ApproverStatus(done=True)
        if (command := next_command(state, workflow_time())) is not None:
            await handle.execute_update(*command, result_type=Acknowledgement)
            return ApproverStatus(done=False, poll_after_seconds=1.0)
        _, until = await handle.query(RolloutWorkflow.get_waiting)
        if is_stalled(until, workflow_time()):
            raise ApplicationError(
                f"nothing has happened since {until}",
                type=STALLED,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,  # the rehearsal begins again
            )
        return ApproverStatus(
            done=False, poll_after_seconds=_seconds_until_poll(state, until, workflow_time())
        )


def is_stalled(until: datetime | None, now: datetime) -> bool:
    """Whether the rollout sleeps on long after the time for which it waited.

    The test server (1.40) may never end a workflow task that began in the very milliseconds in which a
    timer was due, once in some dozens of rehearsals: its workflow hears of nothing any more.
    """
    return until is not None and now - until > STALL_TIMEOUT


def is_stall_error(error: BaseException) -> bool:
    """Whether the person ended because the rollout is lost, and for no other reason."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    return cause is not None and cause.type == STALLED


def needs_real_person(state: State) -> bool:
    """Whether nothing happens any more unless a person decides something."""
    if state.status is Status.DEGRADED:
        return state.rollback is not None and state.rollback.completed_at is not None
    return state.has_ended or (state.status is Status.PAUSED and state.auto_rollback_at is None)


def next_command(state: State, now: datetime) -> tuple[Verb, Command] | None:
    """Give the command that the state waits for; None when it waits for none."""
    step = state.step
    if step is None or state.step_started_at is not None:
        return None
    for item in step.checklist:
        word = Command(actor=APPROVER, reason=REASON, item=item.name)
        if not rejection_reason(state, Verb.ATTEST, word, now):
            return Verb.ATTEST, word
    seen = state.evidence.id if state.evidence else ""
    for actor in _approvers(step):
        approval = Command(actor=actor, reason=REASON, evidence=seen)
        if not rejection_reason(state, Verb.APPROVE, approval, now):
            return Verb.APPROVE, approval
    return None


def _approvers(step: Step) -> tuple[str, ...]:
    """Who may approve: those whom the plan names, else as many rehearsing people as it asks for."""
    if step.approval is None:
        return ()
    return step.approval.eligible_approvers or tuple(
        f"{APPROVER}-{n + 1}" for n in range(step.approval.required_approvals)
    )


def _seconds_until_poll(state: State, until: datetime | None, now: datetime) -> float:
    """Seconds until the rollout may need somebody again, and a little more."""
    times = [until, state.promotable_at, state.auto_rollback_at, *_checklist_due_times(state)]
    later = [at for at in times if at is not None and at > now]
    return ((max(later) if later else now) + MINUTE - now).total_seconds()


def _checklist_due_times(state: State) -> Iterator[datetime]:
    """When the checklist of the step that waits lets it start: it is looked at each hour till then."""
    step, since = state.step, state.exposed_since
    if step is not None and since is not None and state.step_started_at is None:
        yield from (since + item.at_least for item in step.checklist if item.at_least)
