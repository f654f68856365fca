"""The flags port's write: one atomic change of the flag and the phases, and its receipt.

Every write is absolute and fenced, so a retry repeats it harmlessly and a late raise is refused.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.contract.errors import FlagRefusedError, FlagsUnreachableError
from sluice.flags import (
    DesiredState,
    FeatureFlags,
    Fence,
    FlagDocument,
    FlagError,
    FlagStoreError,
    WriteMetadata,
)
from sluice.flags.validation import DESCRIPTION_LENGTH_MAX
from sluice.flags.write_metadata import TEXT_LENGTH_MAX
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite


def flag_error(error: FlagError) -> FlagRefusedError | FlagsUnreachableError:
    """Return a transient error only if the store was out of reach; any other is permanent."""
    if isinstance(error, FlagStoreError):
        return FlagsUnreachableError(str(error))
    return FlagRefusedError(str(error))


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn every error of the flag store into a transient or a permanent one."""
    try:
        yield
    except FlagError as error:
        raise flag_error(error) from error


def flag_receipt(document: FlagDocument, name: str) -> FlagReceipt:
    """Describe the flag as the router processes serve it; a missing flag serves nobody."""
    flag = document.flags.get(name)
    if flag is None:
        return FlagReceipt(version=document.version, percentage=0.0, deleted=True)
    # After the store lost writes the routers serve an unconfirmed flag as stale: to nobody.
    is_served = flag.confirmed or flag.on_stale == "hold"
    percentage = flag.rollout_percentage if is_served else 0.0
    return FlagReceipt(version=document.version, percentage=percentage, killed=flag.killed)


async def apply_write(flags: FeatureFlags, write: FlagWrite) -> FlagReceipt:
    """Give the flag and the phases the desired state, and return what the store holds then.

    A write that lowers or deletes a missing flag changes nothing.

    Raises:
        FlagRefusedError, FlagsUnreachableError: see ``activities.contract.errors``.
    """
    desired = DesiredState(
        flag=write.flag,
        percentage=write.percentage,
        whitelist=None if write.whitelist is None else frozenset(write.whitelist),
        killed=write.killed,
        phases=write.phases.model_dump() if write.phases else None,
        create=write.create,
        delete=write.delete,
        is_rollback=write.is_rollback,
        description=write.reason[:DESCRIPTION_LENGTH_MAX] if write.create else "",
    )
    metadata = WriteMetadata(
        write.actor[:TEXT_LENGTH_MAX],
        write.reason[:TEXT_LENGTH_MAX],
        Fence(write.run_id, write.sequence),
    )
    async with store_errors():
        document = await flags.apply(desired, metadata=metadata)
    return flag_receipt(document, write.flag)
