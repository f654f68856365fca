"""The order in which a flag becomes what a FlagTarget says: less traffic first, more traffic last.

Every write is absolute and fenced, so a retry repeats it harmlessly and a late one is refused.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.errors import FlagRefusedError, FlagsUnreachableError
from activities.models import FlagReceipt, FlagTarget
from router.flags import (
    Change,
    FeatureFlags,
    Fence,
    FlagDocument,
    FlagError,
    FlagExistsError,
    FlagState,
    FlagStoreError,
)


def flag_error(error: FlagError) -> FlagRefusedError | FlagsUnreachableError:
    """Tell whether trying again can help: only when the store was out of reach."""
    if isinstance(error, FlagStoreError):
        return FlagsUnreachableError(str(error))
    return FlagRefusedError(str(error))


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn every error of the flag store into one that says whether to try again."""
    try:
        yield
    except FlagError as error:
        raise flag_error(error) from error


def receipt(document: FlagDocument, name: str) -> FlagReceipt:
    """The flag as the router processes serve it; a flag that isn't there serves nobody."""
    flag = document.flags.get(name)
    if flag is None:
        return FlagReceipt(version=document.version, percentage=0.0, deleted=True)
    # After the store lost writes the routers serve an unconfirmed flag as stale: to nobody.
    served = flag.confirmed or flag.on_stale == "hold"
    percentage = flag.rollout_percentage if served else 0.0
    return FlagReceipt(version=document.version, percentage=percentage, killed=flag.killed)


async def apply_target(flags: FeatureFlags, target: FlagTarget) -> FlagReceipt:
    """Make the flag as ``target`` says and read it back.

    A target that lowers or deletes a flag that isn't there is reached already.

    Raises:
        FlagRefusedError, FlagsUnreachableError: see ``activities.errors``.
    """
    async with store_errors():
        await _Writer(flags, target).apply()
        return receipt(await flags.document(), target.flag)


class _Writer:
    def __init__(self, flags: FeatureFlags, target: FlagTarget) -> None:
        self._flags = flags
        self._target = target
        fence = Fence(target.run_id, target.sequence)
        self._change = Change(target.actor, target.reason, fence)

    async def apply(self) -> None:
        flag = await self._owned()
        if flag is not None:
            await self._lower(flag)
        await self._set_phases()
        if flag is not None and not (flag.killed and self._target.lowers):
            await self._raise(flag)
        elif self._target.percentage or self._target.whitelist:
            await self._flags.get_flag(self._target.flag)  # raises: there is nothing to raise
        if flag is not None and self._target.delete:
            await self._flags.delete_flag(self._target.flag, change=self._change)

    async def _owned(self) -> FlagState | None:
        """The flag as this run finds it: created when asked for, taken over from an older run."""
        target = self._target
        flag = (await self._flags.document()).flags.get(target.flag)
        if flag is None and target.create:
            flag = await self._created()
        if flag is not None and flag.fence.owner != target.run_id:
            flag = await self._flags.claim(target.flag, target.run_id, self._change)
        return flag

    async def _created(self) -> FlagState:
        try:
            return await self._flags.create_flag(
                self._target.flag, description=self._target.reason, change=self._change
            )
        except FlagExistsError:  # somebody was faster
            return await self._flags.get_flag(self._target.flag)

    async def _lower(self, flag: FlagState) -> None:
        name, wanted = self._target.flag, self._target.percentage
        if self._target.killed:
            await self._flags.kill(name, change=self._change)
        if wanted is not None and wanted <= flag.rollout_percentage:
            await self._flags.set_rollout_percentage(name, wanted, change=self._change)
        if self._target.whitelist is not None and flag.whitelist - set(self._target.whitelist):
            fewer = flag.whitelist & set(self._target.whitelist)
            await self._flags.set_whitelist(name, fewer, change=self._change)

    async def _set_phases(self) -> None:
        if self._target.phases is not None:
            await self._flags.set_phases(self._target.phases.model_dump(), change=self._change)

    async def _raise(self, flag: FlagState) -> None:
        name, wanted = self._target.flag, self._target.percentage
        if self._target.killed is False:
            await self._flags.unkill(name, change=self._change)
        if set(self._target.whitelist or ()) - flag.whitelist:
            users = self._target.whitelist or ()
            await self._flags.set_whitelist(name, users, change=self._change)
        if wanted is not None and wanted > flag.rollout_percentage:
            await self._flags.set_rollout_percentage(name, wanted, change=self._change)
