"""The flags port without Redis: the same writes on the store's own in-memory double."""

from activities.adapters.flag_writer import apply_write, flag_receipt, store_errors
from activities.contract.models import Confirmation, ConfirmRequest
from sluice.flags import FeatureFlags, MemoryFlagStore
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite


class MemoryFlags:
    """Flags of this process, with no router processes: for tests and rehearsals."""

    def __init__(self) -> None:
        self._stores: dict[str, MemoryFlagStore] = {}

    def environment(self, name: str) -> FeatureFlags:
        """The flags of one environment, as a person at the store would use them."""
        return FeatureFlags(self._stores.setdefault(name, MemoryFlagStore()), environment=name)

    async def apply(self, write: FlagWrite) -> FlagReceipt:
        """See ``activities.contract.ports.Flags``."""
        return await apply_write(self.environment(write.environment), write)

    async def read(self, environment: str, flag: str) -> FlagReceipt | None:
        """See ``activities.contract.ports.Flags``."""
        async with store_errors():
            found = flag_receipt(await self.environment(environment).document(), flag)
        return None if found.deleted else found

    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        """Nobody serves, so nobody serves more than asked for."""
        return Confirmation(processes=0, expired=0, seconds=0.0)
