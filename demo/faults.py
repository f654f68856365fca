"""The demo's faults: what each one really degrades, and when it begins."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.asyncio import Redis

from rollout.state import State


@dataclass(frozen=True)
class Fault:
    """``step``: the step in whose exposure the treatment cohort starts to be degraded."""

    kind: str
    step: str
    what: str


FAULTS = {
    "latency": Fault("latency", "ramp-25", "the treatment answers about 2 s late"),
    "errors": Fault("errors", "ramp-25", "a third of the treatment's answers are HTTP 500"),
    "reward": Fault("reward", "ramp-25", "the treatment's results are irrelevant"),
    "queue": Fault("queue", "ramp-50", "the learner stops taking feedback from its queue"),
}
SETTLE_SECONDS = 5
"""How long the step has been live before the fault begins: the demo shows a healthy start."""


class Saboteur:
    """Injects one fault, once, at its step."""

    def __init__(self, redis: Redis, environment: str, fault: Fault | None) -> None:
        self._redis = redis
        self._key = f"sluice:{environment}:faults"
        self.fault = fault
        self.injected_at: datetime | None = None

    async def look(self, state: State) -> None:
        """Inject the fault if it is time."""
        if self.fault is None or self.injected_at is not None or state.step is None:
            return
        now = datetime.now(UTC)
        if state.step.name == self.fault.step and state.held_for(now).seconds >= SETTLE_SECONDS:
            await self._redis.set(self._key, json.dumps({"kind": self.fault.kind}))
            self.injected_at = now
