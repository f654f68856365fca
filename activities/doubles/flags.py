"""The flags port without Redis: the same writes on the store's own in-memory double."""

from activities.adapters.stored_flags import StoredFlags
from activities.contract.models import Confirmation, ConfirmRequest
from sluice.flags import FeatureFlags, MemoryFlagStore


class MemoryFlags(StoredFlags):
    """Flags of this process, with no router processes: for tests and rehearsals."""

    def __init__(self) -> None:
        self._environments: dict[str, FeatureFlags] = {}

    def environment(self, name: str) -> FeatureFlags:
        """Return the flags of one environment, as a person at the store would use them."""
        if name not in self._environments:
            self._environments[name] = FeatureFlags(MemoryFlagStore(), environment=name)
        return self._environments[name]

    async def askers(self, environment: str, flag: str) -> tuple[str, ...]:
        """Return none: no process serves the flag."""
        return ()

    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        """Confirm at once: no process serves the flag."""
        return Confirmation(processes=0, expired=0, seconds=0.0)
