"""The flags port over a flag store: each write is one atomic change of the flag and the phases.

Every write is absolute and fenced, so a retry repeats it harmlessly and a late raise is refused.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.contract.errors import FlagRefusedError, FlagsUnreachableError
from sluice.flag_rules import FULL_PERCENTAGE
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
from sluice.rollout.plan.schema import PhaseSwitches


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
    phases = None
    if document.phases_flag == name:
        phases = PhaseSwitches.model_validate(document.phases.model_dump())
    flag = document.flags.get(name)
    if flag is None:
        return FlagReceipt(version=document.version, percentage=0.0, deleted=True, phases=phases)
    # After the store lost writes the routers serve an unconfirmed flag as stale: to nobody.
    is_served = flag.confirmed or flag.on_stale == "hold"
    percentage = flag.rollout_percentage if is_served else 0.0
    if is_served and flag.default_enabled and not flag.killed:
        percentage = FULL_PERCENTAGE
    return FlagReceipt(
        version=document.version,
        percentage=percentage,
        killed=flag.killed,
        run_id=flag.fence.owner or "",
        sequence=flag.fence.sequence,
        phases=phases,
    )


class StoredFlags(ABC):
    """The flags port over any flag store; what confirms a write is the subclass's."""

    @abstractmethod
    def environment(self, name: str) -> FeatureFlags:
        """Return the flags of one environment."""

    async def document(self, environment: str) -> FlagDocument:
        """Read all flags of an environment."""
        return await self.environment(environment).document()

    async def apply(self, write: FlagWrite) -> FlagReceipt:
        """Write a flag and the phases in one commit; see ``activities.contract.ports.Flags``."""
        metadata = WriteMetadata(
            write.actor[:TEXT_LENGTH_MAX],
            write.reason[:TEXT_LENGTH_MAX],
            Fence(write.run_id, write.sequence),
        )
        async with store_errors():
            flags = self.environment(write.environment)
            document = await flags.apply(_desired_state(write), metadata=metadata)
        return flag_receipt(document, write.flag)

    async def read(self, environment: str, flag: str) -> FlagReceipt | None:
        """Read a flag; see ``activities.contract.ports.Flags``."""
        async with store_errors():
            receipt = flag_receipt(await self.document(environment), flag)
        return None if receipt.deleted else receipt

    async def kill(self, environment: str, flag: str, reason: str) -> None:
        """Kill a flag; see ``activities.contract.ports.Flags``."""
        metadata = WriteMetadata("sluice", reason[:TEXT_LENGTH_MAX])
        async with store_errors():
            await self.environment(environment).kill(flag, metadata=metadata, author="rollout")


def _desired_state(write: FlagWrite) -> DesiredState:
    return DesiredState(
        flag=write.flag,
        percentage=write.percentage,
        whitelist=None if write.whitelist is None else frozenset(write.whitelist),
        killed=write.killed,
        phases=write.phases.model_dump() if write.phases else None,
        create=write.create,
        delete=write.delete,
        is_rollback=write.is_rollback,
        excludes=frozenset(write.excludes),
        description=write.reason[:DESCRIPTION_LENGTH_MAX] if write.create else "",
    )
