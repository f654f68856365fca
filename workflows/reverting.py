"""The second half of a code rollback, once the flag is at 0 % and a person has confirmed it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.code import CodeActivities
    from activities.models import RevertRequest
    from rollout.rolling_back import reverted
    from workflows import policies
    from workflows.base import cause
    from workflows.confirming import Confirming


class Reverting(Confirming):
    """Runs the revert beside the main loop: people's commands never wait behind git."""

    _reverting: asyncio.Task[None] | None = None

    def keep_up(self) -> None:
        """Begin a confirmed revert, and everything else that follows from the state."""
        super().keep_up()
        request = self._to_revert()
        if request is not None and not self.reverting:
            self._reverting = asyncio.create_task(self._revert(request))

    @property
    def reverting(self) -> bool:
        return self._reverting is not None and not self._reverting.done()

    async def revert_ended(self) -> None:
        """Wait for a revert that is under way: it was confirmed, and half of it is worse."""
        await workflow.wait_condition(lambda: not self.reverting)

    def _to_revert(self) -> RevertRequest | None:
        state, code, rollback = self.state, self.state.code, self.state.rollback
        if code is None or not code.confirmed_by or code.outcome or state.ended:
            return None
        if rollback is None or rollback.done_at is None or state.plan.rollbacks.code is None:
            return None
        what = state.plan.rollbacks.code
        return RevertRequest(
            key=f"{state.rollout_id}/{code.asked_at.isoformat()}",
            rollout_id=state.rollout_id,
            flag=state.plan.flag,
            commit=what.commit,
            branch=what.branch,
            remote=what.remote,
            actor=code.confirmed_by,
            reason=code.reason or rollback.because,
        )

    async def _revert(self, request: RevertRequest) -> None:
        try:
            receipt = await workflow.execute_activity_method(
                CodeActivities.revert,
                request,
                summary=f"revert {request.commit}",
                **policies.REVERT,
            )
        except FailureError as error:
            refused = isinstance(error.cause, ApplicationError) and error.cause.type
            outcome = "conflict" if refused == policies.CODE_CONFLICT else "failed"
            reverted(self.state, workflow.now(), outcome, cause(error))
        else:
            reverted(self.state, workflow.now(), "reverted", receipt.text)
        self.changed()
