"""Fault injection hurts the treatment and nobody else."""

import time

import pytest
from pydantic import ValidationError
from redis.asyncio import Redis

from router.errors import InjectedFault
from router.learning import OnlineLearningRouter
from router.phases.fault_injection import FaultSpec, FaultWatcher, inject
from router.pipeline.arm_selection import ARMS


def parsed_faults(fault: FaultSpec | None) -> FaultWatcher:
    learner = OnlineLearningRouter(Redis(), redis_url="redis://unused", arms=ARMS, dimension=4)
    watcher = FaultWatcher(Redis(), "test", learner)
    watcher.fault = fault
    return watcher


@pytest.mark.parametrize("kind", ["latency", "errors", "reward", "queue"])
def test_control_never_suffers(kind: str) -> None:
    present = FaultSpec.model_validate({"kind": kind})
    assert parsed_faults(present).for_cohort("control") is None
    assert parsed_faults(present).for_cohort("treatment") == present


async def test_errors_raise() -> None:
    with pytest.raises(InjectedFault):
        await inject(FaultSpec(kind="errors", share=1.0))


async def test_latency_waits_as_long_as_it_says() -> None:
    started = time.perf_counter()
    await inject(FaultSpec(kind="latency", seconds_min=0.05, seconds_max=0.06))
    assert time.perf_counter() - started >= 0.05


async def test_share_zero_injects_no_fault() -> None:
    await inject(FaultSpec(kind="errors", share=0.0))


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "meteor"}',
        '{"kind": "errors", "share": 2}',
        '{"kind": "latency", "seconds_min": 9}',
    ],
)
def test_a_malformed_fault_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        FaultSpec.model_validate_json(text)
