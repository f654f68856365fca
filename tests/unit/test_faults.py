"""Fault injection hurts the treatment and nobody else."""

import time

import pytest
from pydantic import ValidationError
from redis.asyncio import Redis

from router.errors import InjectedFault
from router.faults import Fault, Faults, suffer


def faults(fault: Fault | None) -> Faults:
    found = Faults(Redis(), "test")
    found.fault = fault
    return found


@pytest.mark.parametrize("kind", ["latency", "errors", "reward", "queue"])
def test_control_never_suffers(kind: str) -> None:
    present = Fault.model_validate({"kind": kind})
    assert faults(present).for_cohort("control") is None
    assert faults(present).for_cohort("treatment") == present


async def test_errors_raise() -> None:
    with pytest.raises(InjectedFault):
        await suffer(Fault(kind="errors", share=1.0))


async def test_latency_waits_as_long_as_it_says() -> None:
    started = time.perf_counter()
    await suffer(Fault(kind="latency", seconds_min=0.05, seconds_max=0.06))
    assert time.perf_counter() - started >= 0.05


async def test_share_zero_strikes_nobody() -> None:
    await suffer(Fault(kind="errors", share=0.0))


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
        Fault.model_validate_json(text)
