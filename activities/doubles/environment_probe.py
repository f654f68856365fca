"""The environment probe without an environment, for tests and rehearsals."""

from datetime import datetime

from activities.contract.errors import EffectError
from activities.contract.models import ProbeResult


class MemoryEnvironmentProbe:
    """Passes every check, except those that ``problems`` names with their reason.

    An EffectError in ``problems`` is raised, as by a service out of reach.
    """

    def __init__(self, problems: dict[str, str | EffectError] | None = None) -> None:
        self.problems = dict(problems or {})
        self.calls: list[str] = []

    async def check_stores(self, environment: str) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("stores")

    async def check_scrape_targets(
        self, environment: str, at: datetime, jobs: tuple[str, ...] = ()
    ) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("targets")

    async def check_dashboards(self, titles: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("dashboards")

    async def check_alert_rules(self, names: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("alerts")

    async def check_flag_propagation(self, environment: str) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("flags")

    async def check_excluded_flags(self, environment: str, flags: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("excludes")

    async def check_required_rollouts(self, environment: str, keys: tuple[str, ...]) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("after")

    async def run_rollback_drill(self, environment: str, seconds_max: float) -> ProbeResult:
        """See ``activities.contract.ports.EnvironmentProbe``."""
        return self._probe("drill")

    def _probe(self, probe_name: str) -> ProbeResult:
        self.calls.append(probe_name)
        wrong = self.problems.get(probe_name)
        if isinstance(wrong, EffectError):
            raise wrong
        return ProbeResult(passed=wrong is None, reason=wrong or "in memory: nothing to look at")
