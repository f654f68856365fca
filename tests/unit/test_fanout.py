"""Stores under one deadline: who is late is left out, and who is asked alone leaves time for another."""

import asyncio
import time
from dataclasses import dataclass
from datetime import date

import numpy as np

from router import trace
from router.backends.base import Hit, Search, Searched
from router.backends.guard import Guard
from router.fanout import ALONE_SHARE, Found, Inquiry, fan_out
from router.metrics import Metrics

SECONDS = 0.5
SEARCH = Search("q", np.zeros(384, dtype=np.float32), "graph", 5, date(2026, 11, 28))
HIT = Hit("a", "A", "text", "x/a", 0.9, "thing", "quick")


@dataclass
class Store:
    """Answers at once, or never."""

    name: str
    answers: bool

    async def search(self, search: Search) -> Searched:
        if not self.answers:
            await asyncio.Event().wait()
        return Searched([HIT][: search.limit])

    async def health(self) -> None: ...


async def asked(*stores: Store) -> tuple[Found, float]:
    """What came back, and the seconds left of the query."""
    metrics = Metrics()
    inquiries = [Inquiry(Guard(store, metrics, 10.0), SEARCH, 1.0) for store in stores]
    with trace.tracing() as query:
        query.deadline = time.monotonic() + SECONDS
        return await fan_out(inquiries), trace.remaining()


async def test_a_late_store_is_left_out_before_the_deadline_and_named() -> None:
    found, left = await asked(Store("frozen", answers=False), Store("quick", answers=True))
    assert found.backends == ("quick",)
    assert "frozen" in found.failures
    assert left > 0


async def test_a_store_that_is_asked_alone_leaves_time_to_ask_another() -> None:
    found, left = await asked(Store("frozen", answers=False))
    assert set(found.failures) == {"frozen"}
    assert left > SECONDS * (1 - ALONE_SHARE) / 2
