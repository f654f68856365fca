"""User text meets linear-time patterns only: no question can occupy a process."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.router.adversarial import LENGTH, attacks_on, inline_patterns, patterns_of

ROOT = Path(__file__).parents[3]
SECONDS_MAX = 1.0
"""CPU time of one search on a busy machine. A quadratic pattern over 2,000 characters needs a few
hundredths, and an exponential one does not end."""


@pytest.mark.parametrize("package", ["router", "sluice.flags"])
def test_no_pattern_needs_more_than_its_limit(package: str) -> None:
    patterns = {**patterns_of(package), **inline_patterns(ROOT.joinpath(*package.split(".")))}
    assert patterns
    slow = [(place, text) for place, pattern in patterns.items() for text in _slow_texts(pattern)]
    assert slow == []


def test_the_attacks_find_a_pattern_that_is_exponential() -> None:
    """The pattern that two requests stopped a router with, until it was replaced."""
    bad = re.compile(r"(?:\w, (?:the )?[\w ]+){2,},? (?:and|or) \w")
    assert any("a, a, " in text or "a, the a" in text for text in attacks_on(bad))
    start = time.process_time()
    bad.search("a" + ", the bb" * 22)
    assert time.process_time() - start > SECONDS_MAX / 20


def _slow_texts(pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the attacks that take too long twice: a busy machine may have counted against us once."""
    for text in attacks_on(pattern):
        assert len(text) <= LENGTH
        seconds = _cpu_seconds(pattern, text)
        if seconds > SECONDS_MAX / 2:
            seconds = min(seconds, _cpu_seconds(pattern, text))
        if seconds >= SECONDS_MAX:
            yield f"{text[:60]!r}…{text[-10:]!r}"


def _cpu_seconds(pattern: re.Pattern[str], text: str) -> float:
    start = time.process_time()
    pattern.search(text)
    return time.process_time() - start
