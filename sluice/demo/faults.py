"""The demo's faults: the degradation of each, and its begin."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.asyncio import Redis

from sluice.rollout.engine.state import State


@dataclass(frozen=True)
class DemoFault:
    """A fault of the treatment cohort that begins in ``step``."""

    kind: str
    step: str
    description: str


FAULTS = {
    "latency": DemoFault("latency", "ramp-25", "the treatment answers about 2 s late"),
    "errors": DemoFault("errors", "ramp-25", "a third of the treatment's answers are HTTP 500"),
    "reward": DemoFault("reward", "ramp-25", "the treatment's results are irrelevant"),
    "queue": DemoFault("queue", "ramp-50", "the learner stops taking feedback from its queue"),
}
HEALTHY_START_SECONDS = 5
"""Time that the step is live before the fault, so that the demo shows a healthy start."""


class FaultInjector:
    """Injector of one fault, once, at its step."""

    def __init__(self, redis: Redis, environment: str, fault: DemoFault | None) -> None:
        self._redis = redis
        self._key = f"sluice:{environment}:faults"
        self.fault = fault
        self.injected_at: datetime | None = None

    async def inject_if_due(self, state: State) -> None:
        """Inject the fault if it is time."""
        if self.fault is None or self.injected_at is not None or state.step is None:
            return
        now = datetime.now(UTC)
        if (
            state.step.name == self.fault.step
            and state.soak_time(now).seconds >= HEALTHY_START_SECONDS
        ):
            await self._redis.set(self._key, json.dumps({"kind": self.fault.kind}))
            self.injected_at = now
