"""``sluice learning evaluate`` on a log that a real learner wrote."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from router.learning import Decision, OnlineLearningRouter, UserFeedback
from router.learning.propensity_log import read_log
from sluice.cli import main
from sluice.cli.errors import Exit
from tests.integration.router.learning.learner_fixtures import ARMS, CONTEXT

pytestmark = pytest.mark.integration
BEST_ARM = ARMS[-1]
FEEDBACKS = 300
Sluice = Callable[..., int]


@pytest.fixture
def sluice(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Sluice:
    monkeypatch.setenv("REDIS_URL", redis_server)
    monkeypatch.setenv("SLUICE_ENVIRONMENT", "test")

    def call(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sluice", "learning", "evaluate", *words])
        return main._run()

    return call


async def log_feedback(redis: Redis, router: OnlineLearningRouter, cohort: str) -> None:
    """One arm is clicked nine times in ten, the others one time in ten."""
    dice = np.random.default_rng(3)
    for number in range(FEEDBACKS):
        context = [*dice.normal(size=CONTEXT.size - 1), 1.0]
        choice = router.select(context)
        query = f"{cohort}-{number}"
        await router.store_decisions({query: Decision.from_choice(context, choice, cohort)})
        clicked = bool(dice.random() < (0.9 if choice.arm == BEST_ARM else 0.1))
        await router.record_feedback(UserFeedback(query, clicked=clicked))
    async with asyncio.timeout(30):
        while len(await read_log(redis, "test", cohort)) < FEEDBACKS:  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.05)


@pytest.fixture
async def logged_feedback(redis: Redis, start_router: Any) -> None:  # noqa: ANN401 - kit.Make
    async with start_router() as router:
        await log_feedback(redis, router, "treatment")
        await log_feedback(redis, router, "control")


async def run_evaluate(sluice: Sluice, *words: str) -> int:
    return await asyncio.to_thread(sluice, *words)


async def test_the_better_policy_is_identified_from_the_log(
    logged_feedback: None, sluice: Sluice, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = [word for arm in ARMS for word in ("--arm", arm)]
    assert await run_evaluate(sluice, "--json", "--alpha", "0", "--alpha", "2", *arms) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    rows = {row["policy"]: row for row in found["policies"]}
    assert {"learner, α 0", "learner, α 2", f"always {BEST_ARM}"} <= set(rows)
    assert any("(version 1)" in policy for policy in rows), "the warm start is always compared"
    best = rows[f"always {BEST_ARM}"]
    assert best["trusted"]
    assert best["dr"]["low"] <= 0.9 <= best["dr"]["high"] + 0.05
    assert best["dr"]["low"] > found["logged"]["treatment"]["value"]
    assert found["logged"]["control"]["samples"] == FEEDBACKS
    assert await run_evaluate(sluice) == Exit.OK
    assert "learner, α 0.5" in capsys.readouterr().out


async def test_what_cannot_be_estimated_is_named(
    logged_feedback: None, sluice: Sluice, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code, message in (
        (("--version", "9999"), Exit.NOT_FOUND, "not stored"),
        (("--arm", "nope"), Exit.NOT_FOUND, "no arm 'nope'"),
        (("--alpha", "-1"), Exit.USAGE, "0 or more"),
        (("--alpha", "nan"), Exit.USAGE, "0 or more"),
        (("--epsilon", "2"), Exit.USAGE, "epsilon"),
    ):
        assert await run_evaluate(sluice, *words) == code
        assert message in capsys.readouterr().err


async def test_without_a_log_it_says_what_is_missing(
    redis: Redis, sluice: Sluice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_evaluate(sluice) == Exit.NOT_FOUND
    assert "learned feedbacks" in capsys.readouterr().err
