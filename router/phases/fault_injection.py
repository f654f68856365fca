"""Fault injection for the demo: it degrades the treatment cohort, and only that cohort.

``SLUICE_FAULT_INJECTION=1`` makes the assembly wrap the pipeline in a ``FaultyPipeline``
(router/pipeline/faulty_pipeline.py); otherwise no code of this module runs. The Redis key ``sluice:{environment}:faults`` holds
``{"kind": "latency" | "errors" | "reward" | "queue"}`` and optionally ``share`` (of the treatment's
queries, 0 to 1), ``seconds_min`` and ``seconds_max`` (latency). Without the key no fault is injected.
"""

import asyncio
import random
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from redis.asyncio import Redis
from redis.exceptions import RedisError

from router.answer import Cohort
from router.errors import InjectedFault
from router.learning import OnlineLearningRouter

POLL_SECONDS = 0.5
_DEFAULT_SHARE = {"latency": 1.0, "errors": 0.3, "reward": 1.0, "queue": 1.0}
logger = structlog.get_logger(__name__)


class FaultSpec(BaseModel):
    """One fault, as it is stored in Redis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["latency", "errors", "reward", "queue"]
    share: float | None = Field(default=None, ge=0.0, le=1.0)
    seconds_min: float = Field(default=1.5, ge=0.0, le=30.0)
    seconds_max: float = Field(default=2.5, ge=0.0, le=30.0)

    @model_validator(mode="after")
    def _require_order(self) -> "FaultSpec":
        if self.seconds_max < self.seconds_min:
            raise ValueError("seconds_max must be at least seconds_min")
        return self

    def applies(self) -> bool:
        """Draw whether this query is affected."""
        share = _DEFAULT_SHARE[self.kind] if self.share is None else self.share
        return random.random() < share  # noqa: S311 - no secret depends on it


class FaultWatcher:
    """The fault that Redis holds now; None until ``run`` has read one."""

    def __init__(self, redis: Redis, environment: str, learner: OnlineLearningRouter) -> None:
        self._redis = redis
        self._key = f"sluice:{environment}:faults"
        self._learner = learner
        self.fault: FaultSpec | None = None

    def for_cohort(self, cohort: Cohort) -> FaultSpec | None:
        """Return the cohort's fault. The control cohort has none, as the treatment's baseline."""
        return self.fault if cohort == "treatment" else None

    async def run(self) -> None:
        """Poll the key until cancelled; the fault ``queue`` pauses the learner."""
        while True:
            previous = self.fault
            self.fault = await self._read()
            if self.fault != previous:
                logger.warning("fault_injection", fault=self.fault and self.fault.kind)
                self._pause_learner()
            await asyncio.sleep(POLL_SECONDS)

    def _pause_learner(self) -> None:
        if self.fault is not None and self.fault.kind == "queue":
            self._learner.pause()
        else:
            self._learner.resume()

    async def _read(self) -> FaultSpec | None:
        try:
            text = await self._redis.get(self._key)
            return FaultSpec.model_validate_json(text) if text else None
        except (RedisError, OSError):
            return self.fault
        except ValidationError as error:
            logger.warning("fault_ignored", key=self._key, reason=str(error))
            return None


async def inject(fault: FaultSpec) -> None:
    """Wait for a latency fault, or raise InjectedFault for an error fault."""
    if fault.kind not in ("latency", "errors") or not fault.applies():
        return
    if fault.kind == "errors":
        raise InjectedFault("fault injection: this query fails on purpose")
    await asyncio.sleep(random.uniform(fault.seconds_min, fault.seconds_max))  # noqa: S311 - as above
