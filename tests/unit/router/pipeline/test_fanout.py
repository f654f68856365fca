"""Stores under one deadline: who is late is left out, and who is asked alone leaves time for another."""

import asyncio
import time
from dataclasses import dataclass
from datetime import date

import numpy as np

from router.backends.base import Hit, SearchRequest, SearchResult
from router.backends.resilient_backend import ResilientBackend
from router.observability import trace
from router.observability.metrics import RouterMetrics
from router.pipeline.fanout import (
    SINGLE_BACKEND_SHARE,
    BackendSearch,
    FanoutResult,
    fan_out,
)

SECONDS = 0.5
SEARCH = SearchRequest("q", np.zeros(384, dtype=np.float32), "graph", 5, date(2026, 11, 28))
HIT = Hit("a", "A", "text", "x/a", 0.9, "thing", "quick")


@dataclass
class StubBackend:
    """Answers at once, or never."""

    name: str
    answers: bool

    async def search(self, search: SearchRequest) -> SearchResult:
        if not self.answers:
            await asyncio.Event().wait()
        return SearchResult([HIT][: search.limit])

    async def health(self) -> None: ...


async def fan_out_to(*stores: StubBackend) -> tuple[FanoutResult, float]:
    """Return the results, and the seconds left of the query."""
    metrics = RouterMetrics()
    inquiries = [
        BackendSearch(ResilientBackend(store, metrics, 10.0), SEARCH, 1.0) for store in stores
    ]
    with trace.open_trace() as query:
        query.deadline = time.monotonic() + SECONDS
        return await fan_out(inquiries), trace.remaining_seconds()


async def test_a_late_store_is_left_out_before_the_deadline_and_named() -> None:
    found, left = await fan_out_to(
        StubBackend("frozen", answers=False), StubBackend("quick", answers=True)
    )
    assert found.backends == ("quick",)
    assert "frozen" in found.failures
    assert left > 0


async def test_a_store_that_is_asked_alone_leaves_time_to_ask_another() -> None:
    found, left = await fan_out_to(StubBackend("frozen", answers=False))
    assert set(found.failures) == {"frozen"}
    assert left > SECONDS * (1 - SINGLE_BACKEND_SHARE) / 2
