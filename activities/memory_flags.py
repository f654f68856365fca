"""The flags port without Redis: the same writes on the store's own in-memory double."""

from activities.flag_writes import apply_target, receipt, store_errors
from activities.models import Confirmation, ConfirmRequest, FlagReceipt, FlagTarget
from router.flags import FeatureFlags, MemoryFlagStore


class MemoryFlags:
    """Flags of this process, with no router processes: for tests and rehearsals."""

    def __init__(self) -> None:
        self._stores: dict[str, MemoryFlagStore] = {}

    def environment(self, name: str) -> FeatureFlags:
        """The flags of one environment, as a person at the store would use them."""
        return FeatureFlags(self._stores.setdefault(name, MemoryFlagStore()), environment=name)

    async def apply(self, target: FlagTarget) -> FlagReceipt:
        """See ``activities.ports.Flags``."""
        return await apply_target(self.environment(target.environment), target)

    async def read(self, environment: str, flag: str) -> FlagReceipt | None:
        """See ``activities.ports.Flags``."""
        async with store_errors():
            found = receipt(await self.environment(environment).document(), flag)
        return None if found.deleted else found

    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        """Nobody serves, so nobody serves more than asked for."""
        return Confirmation(processes=0, expired=0, seconds=0.0)
