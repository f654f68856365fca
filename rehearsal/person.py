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
    from rehearsal.ports import workflow_time
    from rollout.commands import Acknowledgement, Command, Verb
    from rollout.gate import Model
    from rollout.permit import refusal
    from rollout.plan import Step
    from rollout.state import State, Status
    from workflows.rollout_workflow import RolloutWorkflow

PERSON = "rehearsing-person"
MINUTE = timedelta(minutes=1)
LATE_MAX = timedelta(hours=1)
LOST = "RolloutLost"
REASON = "a rehearsal: nobody is harmed"


class Look(Model):
    """What the person saw: ``over``, or when to look again."""

    over: bool
    again_seconds: float = 60.0


@workflow.defn
class RehearsingPerson:
    """Looks at the rollout whenever it may need somebody, until only a real person could go on."""

    @workflow.run
    async def run(self, rollout: str) -> None:
        while True:
            look: Look = await workflow.execute_activity(
                "look_after_rollout",
                rollout,
                result_type=Look,
                start_to_close_timeout=timedelta(minutes=1),
            )
            if look.over:
                return
            await workflow.sleep(look.again_seconds)


@dataclass(frozen=True)
class PersonActivities:
    """The person's eyes and hands: queries and updates of the rollout."""

    client: Client

    @activity.defn(name="look_after_rollout")
    async def look(self, rollout: str) -> Look:
        handle = self.client.get_workflow_handle(rollout)
        state = await handle.query(RolloutWorkflow.get_state)
        if is_over(state):
            return Look(over=True)
        if (command := wanted(state, workflow_time())) is not None:
            await handle.execute_update(*command, result_type=Acknowledgement)
            return Look(over=False, again_seconds=1.0)
        _, until = await handle.query(RolloutWorkflow.get_waiting)
        if lost(until, workflow_time()):
            raise ApplicationError(
                f"nothing has happened since {until}",
                type=LOST,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,  # the rehearsal begins again
            )
        return Look(over=False, again_seconds=_until(state, until, workflow_time()))


def lost(until: datetime | None, now: datetime) -> bool:
    """Whether the rollout sleeps on long after the time for which it waited.

    The test server (1.40) may never end a workflow task that began in the very milliseconds in which a
    timer was due, once in some dozens of rehearsals: its workflow hears of nothing any more.
    """
    return until is not None and now - until > LATE_MAX


def says_lost(error: BaseException) -> bool:
    """Whether the person ended because the rollout is lost, and for no other reason."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    return cause is not None and cause.type == LOST


def is_over(state: State) -> bool:
    """Whether nothing happens any more unless a person decides something."""
    if state.status is Status.DEGRADED:
        return state.rollback is not None and state.rollback.done_at is not None
    return state.ended or (state.status is Status.PAUSED and state.acts_at is None)


def wanted(state: State, now: datetime) -> tuple[Verb, Command] | None:
    """Give the command that the state waits for; None when it waits for none."""
    step = state.step
    if step is None or state.step_started_at is not None:
        return None
    for item in step.checklist:
        word = Command(actor=PERSON, reason=REASON, item=item.name)
        if not refusal(state, Verb.ATTEST, word, now):
            return Verb.ATTEST, word
    seen = state.evidence.id if state.evidence else ""
    for actor in _approvers(step):
        approval = Command(actor=actor, reason=REASON, evidence=seen)
        if not refusal(state, Verb.APPROVE, approval, now):
            return Verb.APPROVE, approval
    return None


def _approvers(step: Step) -> tuple[str, ...]:
    """Who may approve: those whom the plan names, else as many rehearsing people as it asks for."""
    if step.approval is None:
        return ()
    return step.approval.of or tuple(f"{PERSON}-{n + 1}" for n in range(step.approval.approvers))


def _until(state: State, until: datetime | None, now: datetime) -> float:
    """Seconds until the rollout may need somebody again, and a little more."""
    times = [until, state.promotable_at, state.acts_at, *_held_until(state)]
    later = [at for at in times if at is not None and at > now]
    return ((max(later) if later else now) + MINUTE - now).total_seconds()


def _held_until(state: State) -> Iterator[datetime]:
    """When the checklist of the step that waits lets it start: it is looked at each hour till then."""
    step, since = state.step, state.exposed_since
    if step is not None and since is not None and state.step_started_at is None:
        yield from (since + item.at_least for item in step.checklist if item.at_least)
