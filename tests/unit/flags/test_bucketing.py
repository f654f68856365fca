"""Buckets: stable, monotonic, exact at both ends, independent between flags, as documented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sluice.flags.bucketing import (
    BUCKET_FUNCTIONS,
    GROWTHBOOK_V1,
    GROWTHBOOK_V2,
    SLUICE,
    UNLEASH,
    murmur3_32,
    sluice_bucket,
    threshold,
    validate_hash_version,
)
from sluice.flags.errors import InvalidFlagError

users = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
hundredths = st.integers(0, 10_000)


def chi_square(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    return float(((observed - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("hash_version", sorted(BUCKET_FUNCTIONS))
@given(user=users, lower=hundredths, higher=hundredths)
def test_a_ramp_only_adds_users(hash_version: int, user: str, lower: int, higher: int) -> None:
    lower, higher = sorted((lower, higher))
    bucket = BUCKET_FUNCTIONS[hash_version]("flag", user)
    if bucket < threshold(lower / 100):
        assert bucket < threshold(higher / 100)


@pytest.mark.parametrize("hash_version", sorted(BUCKET_FUNCTIONS))
@given(user=users)
def test_nobody_is_in_at_0_and_everybody_at_100(hash_version: int, user: str) -> None:
    bucket = BUCKET_FUNCTIONS[hash_version]("flag", user)
    assert not bucket < threshold(0)
    assert bucket < threshold(100)


@given(hundredths)
def test_every_percentage_of_two_decimals_has_its_own_threshold(buckets: int) -> None:
    assert threshold(buckets / 100) == buckets


def test_the_documented_hash_is_pinned() -> None:
    """Changing it would move every user of every live rollout."""
    assert sluice_bucket("phase4_online_learning", "user_alice") == 8264
    assert sluice_bucket("phase4_online_learning", "usér_日本") == 7159


def test_users_fill_the_buckets_evenly() -> None:
    counts = np.zeros(100)
    for number in range(100_000):
        counts[sluice_bucket("flag", f"user{number}") // 100] += 1
    assert chi_square(counts, np.full(100, 1_000.0)) < 148.2  # p = 0.001 at 99 degrees


def test_two_flags_choose_their_users_independently() -> None:
    table = np.zeros((10, 10))
    for number in range(50_000):
        user = f"user{number}"
        table[sluice_bucket("one", user) // 1000, sluice_bucket("two", user) // 1000] += 1
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    assert chi_square(table, expected) < 126.1  # p = 0.001 at 81 degrees of freedom


@pytest.mark.parametrize(
    ("group", "user", "normalized"), [("gr1", "123", 73), ("groupX", "999", 25)]
)
def test_unleash_hashes_match_its_published_cases(group: str, user: str, normalized: int) -> None:
    """In at `normalized` per cent and not one below, as Unleash's SDK guide states."""
    bucket = BUCKET_FUNCTIONS[UNLEASH](group, user)
    assert bucket < threshold(normalized)
    assert not bucket < threshold(normalized - 1)


@pytest.mark.parametrize(
    ("seed", "value", "version", "expected"),
    [
        ("", "a", GROWTHBOOK_V1, 0.22),
        ("", "b", GROWTHBOOK_V1, 0.077),
        ("b", "a", GROWTHBOOK_V1, 0.946),
        ("ef", "d", GROWTHBOOK_V1, 0.652),
        ("asdf", "8952klfjas09ujk", GROWTHBOOK_V1, 0.549),
        ("", "123", GROWTHBOOK_V1, 0.011),
        ("", '___)((*":&', GROWTHBOOK_V1, 0.563),
        ("seed", "a", GROWTHBOOK_V2, 0.0505),
        ("seed", "b", GROWTHBOOK_V2, 0.2696),
        ("foo", "ab", GROWTHBOOK_V2, 0.2575),
        ("foo", "def", GROWTHBOOK_V2, 0.2019),
    ],
)
def test_growthbook_hashes_match_its_published_cases(
    seed: str, value: str, version: int, expected: float
) -> None:
    """The `hash` cases of GrowthBook's `cases.json`."""
    assert BUCKET_FUNCTIONS[version](seed, value) == round(expected * 10_000)


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"test", 0, 0xBA6BD213),
        (b"Hello, world!", 0, 0xC0363E43),
    ],
)
def test_murmur3_matches_its_reference_vectors(data: bytes, seed: int, expected: int) -> None:
    assert murmur3_32(data, seed) == expected


@pytest.mark.parametrize("version", [0, 5, True, "1", None])
def test_an_unknown_hash_version_is_refused(version: object) -> None:
    with pytest.raises(InvalidFlagError, match="hash_version"):
        validate_hash_version(version)
    assert validate_hash_version(SLUICE) == SLUICE
