"""The code rollback: git revert, push, deploy (guide: Code Rollback)."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import temporal_errors
from activities.heartbeat import heartbeating
from activities.models import RevertReceipt, RevertRequest
from activities.ports import Code


@dataclass(frozen=True)
class CodeActivities:
    """Changes the code that is deployed; only ever after a person's confirmation."""

    code: Code

    @activity.defn(name="revert_code")
    async def revert(self, request: RevertRequest) -> RevertReceipt:
        """Revert, push and deploy; what an earlier attempt did already is not done again.

        Raises:
            ApplicationError: types CodeConflict and CodeRefused, not retried.
            CodeUnreachableError: retried.
        """
        async with heartbeating():
            with temporal_errors():
                return await self.code.revert(request)
