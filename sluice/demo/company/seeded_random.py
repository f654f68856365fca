"""Seeded random streams, one per part of the company, so that a part can change alone."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TypeVar

_T = TypeVar("_T")

AS_OF = date(2026, 10, 31)
"""The closing day of the company's books, the latest date in them."""
SUNDAY = 7
BOOKS_FROM = date(2024, 11, 1)


def random_stream(seed: int, name: str) -> random.Random:
    """Return the generator of the part ``name``; stable across Python versions."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - fiction needs repeatable chance, not secrets


def shuffled(rng: random.Random, items: Sequence[_T]) -> list[_T]:
    return rng.sample(list(items), len(items))


def pick_working_day(rng: random.Random, first: date, last: date) -> date:
    """Pick a day from ``first`` to ``last``, not a Sunday where possible."""
    day = first + timedelta(days=rng.randint(0, max(0, (last - first).days)))
    return day - timedelta(days=1) if day.isoweekday() == SUNDAY and day > first else day
