"""Fault injection for the demo: really degrades the treatment cohort, and only that.

Active with SLUICE_FAULT_INJECTION=1. The key ``sluice:{environment}:faults`` holds
``{"kind": "latency" | "errors" | "reward" | "queue"}`` and optionally ``share`` (of treatment
queries, 0 to 1), ``seconds_min`` and ``seconds_max`` (latency). No key, no fault.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from redis.asyncio import Redis
from redis.exceptions import RedisError

from router.answer import Cohort
from router.errors import InjectedFault

POLL_SECONDS = 0.5
_DEFAULT_SHARE = {"latency": 1.0, "errors": 0.3, "reward": 1.0, "queue": 1.0}
logger = structlog.get_logger(__name__)


class FaultSpec(BaseModel):
    """One fault, as it lies in Redis."""

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
        """Whether this query is among the share that suffers."""
        share = _DEFAULT_SHARE[self.kind] if self.share is None else self.share
        return random.random() < share  # noqa: S311 - no secret depends on it


class FaultWatcher:
    """What is wrong right now. Without ``run`` nothing ever is."""

    def __init__(self, redis: Redis, environment: str) -> None:
        self._redis = redis
        self._key = f"sluice:{environment}:faults"
        self.fault: FaultSpec | None = None

    def for_cohort(self, cohort: Cohort) -> FaultSpec | None:
        """The control cohort never suffers: it is what the treatment is compared with."""
        return self.fault if cohort == "treatment" else None

    async def run(self, on_change: Callable[[FaultSpec | None], None]) -> None:
        """Follow the key for ever; tells ``on_change`` of each change."""
        while True:
            seen = self.fault
            self.fault = await self._read()
            if self.fault != seen:
                logger.warning("fault_injection", fault=self.fault and self.fault.kind)
                on_change(self.fault)
            await asyncio.sleep(POLL_SECONDS)

    async def _read(self) -> FaultSpec | None:
        try:
            text = await self._redis.get(self._key)
            return FaultSpec.model_validate_json(text) if text else None
        except (RedisError, OSError):
            return self.fault
        except ValidationError as error:
            logger.warning("fault_ignored", key=self._key, why=str(error))
            return None


async def inject(fault: FaultSpec | None) -> None:
    """Wait, or raise InjectedFault, as the fault says."""
    if fault is None or fault.kind not in ("latency", "errors") or not fault.applies():
        return
    if fault.kind == "errors":
        raise InjectedFault("fault injection: this query was made to fail")
    await asyncio.sleep(random.uniform(fault.seconds_min, fault.seconds_max))  # noqa: S311 - as above
