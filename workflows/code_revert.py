"""The second half of a code rollback, once the flag is at 0 % and a person has confirmed it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.code_revert import CodeRevertActivities
    from activities.contract.models import RevertRequest
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.state import State
    from workflows import activity_options
    from workflows.context import RolloutContext, root_cause


class CodeReverter:
    """Runs the revert beside the main loop: people's commands never wait behind git."""

    def __init__(self, context: RolloutContext) -> None:
        self._context = context
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """True while a revert is under way."""
        return self._task is not None and not self._task.done()

    def sync(self, state: State) -> None:
        """Begin a revert that a person has confirmed."""
        request = _pending_revert(state)
        if request is not None and not self.is_running:
            self._task = asyncio.create_task(self._revert(request))

    async def wait_until_idle(self) -> None:
        """Wait for a revert that is under way: half of one is worse than none."""
        await workflow.wait_condition(lambda: not self.is_running)

    async def _revert(self, request: RevertRequest) -> None:
        state = self._context.state
        try:
            receipt = await workflow.execute_activity_method(
                CodeRevertActivities.revert,
                request,
                summary=f"revert {request.commit}",
                **activity_options.REVERT,
            )
        except FailureError as error:
            kind = error.cause.type if isinstance(error.cause, ApplicationError) else None
            is_conflict = kind == activity_options.CODE_CONFLICT
            transitions.record_revert(
                state, workflow.now(), "conflict" if is_conflict else "failed", root_cause(error)
            )
        else:
            transitions.record_revert(state, workflow.now(), "reverted", receipt.text)
        self._context.wake()


def _pending_revert(state: State) -> RevertRequest | None:
    revert, rollback, policy = state.code_revert, state.rollback, state.plan.rollbacks.code
    if revert is None or not revert.confirmed_by or revert.outcome or state.has_ended:
        return None
    if rollback is None or rollback.completed_at is None or policy is None:
        return None
    return RevertRequest(
        key=f"{state.rollout_id}/{revert.requested_at.isoformat()}",
        rollout_id=state.rollout_id,
        flag=state.plan.flag,
        commit=policy.commit,
        branch=policy.branch,
        remote=policy.remote,
        actor=revert.confirmed_by,
        reason=revert.reason or rollback.reason,
    )
