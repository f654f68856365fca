"""Hash versions 2 to 4 choose whom the products' own SDKs choose: the SDKs are asked, here."""

from __future__ import annotations

import json
import random
import string

import pytest
from growthbook.core import gbhash
from yggdrasil_engine.engine import UnleashEngine  # type: ignore[import-untyped]  # it has no types

from sluice.flags import FlagState
from sluice.flags.bucketing import (
    BUCKET_FUNCTIONS,
    GROWTHBOOK_V1,
    GROWTHBOOK_V2,
    UNLEASH,
    threshold,
)
from sluice.flags.evaluation import EvaluationTable, fresh_rules

ALPHABET = string.ascii_letters + string.digits + "-_.:@ äß日本😀"
SDK_VERSION = {GROWTHBOOK_V1: 1, GROWTHBOOK_V2: 2}


def random_texts(count: int, seed: int) -> list[str]:
    dice = random.Random(seed)  # noqa: S311 - a seed replays the run
    return ["".join(dice.choices(ALPHABET, k=dice.randint(1, 24))) for _ in range(count)]


@pytest.mark.parametrize("hash_version", sorted(SDK_VERSION))
def test_growthbook_hashes_alike(hash_version: int) -> None:
    for seed, user in zip(random_texts(2_000, 1), random_texts(2_000, 2), strict=True):
        expected = gbhash(seed, user, SDK_VERSION[hash_version])
        assert expected is not None
        assert BUCKET_FUNCTIONS[hash_version](seed, user) == round(expected * 10_000), (seed, user)


def users_treated_by_unleash(name: str, percentage: int, users: list[str]) -> list[bool]:
    parameters = {"rollout": str(percentage), "stickiness": "userId", "groupId": name}
    strategy = {"name": "flexibleRollout", "parameters": parameters}
    feature = {"name": name, "enabled": True, "strategies": [strategy]}
    engine = UnleashEngine()
    engine.take_state(json.dumps({"version": 1, "features": [feature]}))
    return [engine.is_enabled(name, {"userId": user}).is_enabled for user in users]


@pytest.mark.parametrize("percentage", [0, 1, 5, 25, 50, 99, 100])
def test_unleash_treats_the_same_users(percentage: int) -> None:
    name = "phase4_online_learning"
    flag = FlagState(name=name, rollout_percentage=percentage, hash_version=UNLEASH)
    rule = fresh_rules({name: flag}, EvaluationTable(1))[name]
    users = random_texts(500, 3)
    ours = [rule[user]().enabled for user in users]
    assert ours == users_treated_by_unleash(name, percentage, users)


@pytest.mark.parametrize(
    ("group", "user", "percentage", "treated"),
    [
        ("AB12A", "123", 100, True),
        ("AB12A", "122", 50, True),
        ("AB12A", "155", 50, False),
        ("AB12A", "122", 0, False),
        ("Feature.flexibleRollout.10", "174", 10, True),
        ("Feature.flexibleRollout.10", "499", 10, False),
        ("Feature.flexibleRollout.userId.55", "25", 55, True),
        ("Feature.flexibleRollout.0", "12", 0, False),
    ],
)
def test_unleash_client_specification_cases_pass(
    group: str, user: str, percentage: float, treated: bool
) -> None:
    """Specifications 03 (gradual rollout by user id) and 10 (flexible rollout), sticky by user."""
    assert (BUCKET_FUNCTIONS[UNLEASH](group, user) < threshold(percentage)) is treated
