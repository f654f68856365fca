"""The code rollback: git revert, push, deploy (guide: Code Rollback)."""

from dataclasses import dataclass

from temporalio import activity

from activities.contract.errors import temporal_errors
from activities.contract.heartbeat import heartbeating
from activities.contract.models import RevertReceipt, RevertRequest
from activities.contract.ports import CodeRepository


@dataclass(frozen=True)
class CodeRevertActivities:
    """Changes the code that is deployed; only ever after a person's confirmation."""

    repository: CodeRepository

    @activity.defn(name="revert_code")
    async def revert(self, request: RevertRequest) -> RevertReceipt:
        """Revert, push and deploy; what an earlier attempt did already is not done again.

        Raises:
            ApplicationError: types CodeConflict and CodeRefused, not retried.
            CodeUnreachableError: retried.
        """
        async with heartbeating():
            with temporal_errors():
                return await self.repository.revert(request)
