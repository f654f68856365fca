"""The metrics port's in-memory double: answers that a test or a rehearsal gives by hand."""

import math
from collections.abc import Mapping
from datetime import datetime

from activities.contract.errors import EffectError

ScriptedValue = float | EffectError | None


class MemoryMetrics:
    """Answers by exact expression; one that nobody answered has no data.

    ``down`` is raised by every query while it is set, as an unreachable Prometheus would.
    ``age_seconds`` is the answer to how old the newest sample is (``sluice.rollout.analysis.promql.sample_age_query``).
    """

    def __init__(self, answers: Mapping[str, ScriptedValue] | None = None) -> None:
        self.answers: dict[str, ScriptedValue] = dict(answers or {})
        self.queries: list[tuple[str, datetime]] = []
        self.down: EffectError | None = None
        self.age_seconds: float | None = 0.0

    def query(self, promql: str, at: datetime) -> float | None:
        """See ``activities.contract.ports.MetricsProvider``."""
        self.queries.append((promql, at))
        asks_for_age = promql.startswith("time() - (")
        default = self.age_seconds if asks_for_age else None
        answer = self.down or self.answers.get(promql, default)
        if isinstance(answer, EffectError):
            raise answer
        return answer if answer is not None and math.isfinite(answer) else None
