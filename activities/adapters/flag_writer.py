"""The order in which a flag becomes what a FlagTarget says: less traffic first, more traffic last.

Every write is absolute and fenced, so a retry repeats it harmlessly and a late one is refused.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.contract.errors import FlagRefusedError, FlagsUnreachableError
from activities.contract.models import FlagReceipt
from sluice.flags import (
    FeatureFlags,
    Fence,
    FlagDocument,
    FlagError,
    FlagExistsError,
    FlagState,
    FlagStoreError,
    WriteMetadata,
)
from sluice.rollout.engine.flag_target import FlagWrite


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


def flag_receipt(document: FlagDocument, name: str) -> FlagReceipt:
    """The flag as the router processes serve it; a flag that isn't there serves nobody."""
    flag = document.flags.get(name)
    if flag is None:
        return FlagReceipt(version=document.version, percentage=0.0, deleted=True)
    # After the store lost writes the routers serve an unconfirmed flag as stale: to nobody.
    served = flag.confirmed or flag.on_stale == "hold"
    percentage = flag.rollout_percentage if served else 0.0
    return FlagReceipt(version=document.version, percentage=percentage, killed=flag.killed)


async def apply_write(flags: FeatureFlags, write: FlagWrite) -> FlagReceipt:
    """Make the flag as ``target`` says and read it back.

    A target that lowers or deletes a flag that isn't there is reached already.

    Raises:
        FlagRefusedError, FlagsUnreachableError: see ``activities.contract.errors``.
    """
    async with store_errors():
        await _OrderedWrite(flags, write).apply()
        return flag_receipt(await flags.document(), write.flag)


class _OrderedWrite:
    def __init__(self, flags: FeatureFlags, write: FlagWrite) -> None:
        self._flags = flags
        self._write = write
        fence = Fence(write.run_id, write.sequence)
        self._change = WriteMetadata(write.actor, write.reason, fence)

    async def apply(self) -> None:
        flag = await self._claim()
        if flag is not None:
            await self._lower(flag)
        await self._set_phases()
        if flag is not None and not (flag.killed and self._write.is_rollback):
            await self._raise(flag)
        elif self._write.percentage or self._write.whitelist:
            await self._flags.get_flag(self._write.flag)  # raises: there is nothing to raise
        if flag is not None and self._write.delete:
            await self._flags.delete_flag(self._write.flag, metadata=self._change)

    async def _claim(self) -> FlagState | None:
        """The flag as this run finds it: created when asked for, taken over from an older run."""
        target = self._write
        flag = (await self._flags.document()).flags.get(target.flag)
        if flag is None and target.create:
            flag = await self._create()
        if flag is not None and flag.fence.owner != target.run_id:
            flag = await self._flags.claim(target.flag, target.run_id, self._change)
        return flag

    async def _create(self) -> FlagState:
        try:
            return await self._flags.create_flag(
                self._write.flag, description=self._write.reason, metadata=self._change
            )
        except FlagExistsError:  # somebody was faster
            return await self._flags.get_flag(self._write.flag)

    async def _lower(self, flag: FlagState) -> None:
        name, wanted = self._write.flag, self._write.percentage
        if self._write.killed:
            await self._flags.kill(name, metadata=self._change)
        if wanted is not None and wanted <= flag.rollout_percentage:
            await self._flags.set_rollout_percentage(name, wanted, metadata=self._change)
        if self._write.whitelist is not None and flag.whitelist - set(self._write.whitelist):
            fewer = flag.whitelist & set(self._write.whitelist)
            await self._flags.set_whitelist(name, fewer, metadata=self._change)

    async def _set_phases(self) -> None:
        if self._write.phases is not None:
            await self._flags.set_phases(self._write.phases.model_dump(), metadata=self._change)

    async def _raise(self, flag: FlagState) -> None:
        name, wanted = self._write.flag, self._write.percentage
        if self._write.killed is False:
            await self._flags.unkill(name, metadata=self._change)
        if set(self._write.whitelist or ()) - flag.whitelist:
            users = self._write.whitelist or ()
            await self._flags.set_whitelist(name, users, metadata=self._change)
        if wanted is not None and wanted > flag.rollout_percentage:
            await self._flags.set_rollout_percentage(name, wanted, metadata=self._change)
