"""Writes of the flag, and the router processes' answers on what they serve."""

from dataclasses import dataclass

from temporalio import activity

from activities.contract.errors import temporal_errors
from activities.contract.heartbeat import heartbeating
from activities.contract.models import Confirmation, ConfirmRequest
from activities.contract.ports import Flags
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite


@dataclass(frozen=True)
class FlagActivities:
    """The only activities that change what users see."""

    flags: Flags

    @activity.defn(name="apply_flag")
    async def apply(self, write: FlagWrite) -> FlagReceipt:
        """Write the flag and read it back; fit for a local activity.

        Raises:
            ApplicationError: type FlagRefused, not retried: a newer write or a kill forbids it.
            FlagsUnreachableError: retried.
        """
        with temporal_errors():
            return await self.flags.apply(write)

    @activity.defn(name="confirm_flag")
    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        """Ask every router process until none can serve more; only the timeout ends it otherwise.

        Raises:
            FlagsUnreachableError: retried: without the store nobody knows which processes live.
        """
        async with heartbeating():
            with temporal_errors():
                return await self.flags.confirm(request)
