"""The site port without a site: for tests and rehearsals, where nothing is there to be looked at."""

from activities.checklist_models import Found
from activities.errors import EffectError


class MemorySite:
    """Finds everything well, except what ``wrong`` names: there it says what is put there.

    An EffectError in ``wrong`` is raised, as by a site out of reach.
    """

    def __init__(self, wrong: dict[str, str | EffectError] | None = None) -> None:
        self.wrong = dict(wrong or {})
        self.asked: list[str] = []

    async def stores(self, environment: str) -> Found:
        """See ``activities.ports.Site``."""
        return self._found("stores")

    async def targets(self, environment: str) -> Found:
        """See ``activities.ports.Site``."""
        return self._found("targets")

    async def dashboards(self, titles: tuple[str, ...]) -> Found:
        """See ``activities.ports.Site``."""
        return self._found("dashboards")

    async def alerts(self, names: tuple[str, ...]) -> Found:
        """See ``activities.ports.Site``."""
        return self._found("alerts")

    async def flags(self, environment: str) -> Found:
        """See ``activities.ports.Site``."""
        return self._found("flags")

    async def drill(self, environment: str, seconds_max: float) -> Found:
        """See ``activities.ports.Site``."""
        return self._found("drill")

    def _found(self, what: str) -> Found:
        self.asked.append(what)
        wrong = self.wrong.get(what)
        if isinstance(wrong, EffectError):
            raise wrong
        return Found(passed=wrong is None, because=wrong or "in memory: nothing to look at")
