"""Batches of concurrent work: what waits while a batch runs is the next batch.

One call for several questions costs less than one call each, because the model's weights pass
through the processor's caches once. An idle process starts a batch of one at once: nobody waits
for company.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

BATCH_ITEMS_MAX = 8
BATCH_CHARS_MAX = 1_000
"""Long texts gain nothing from a batch, and would delay the short ones in it."""
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class _Item(Generic[ResultT]):
    text: str
    result: "asyncio.Future[ResultT]"
    since: float = field(default_factory=time.monotonic)


class WorkBatches(Generic[ResultT]):
    """Results for texts, computed in batches; one batch runs at a time."""

    def __init__(self, work: Callable[[Sequence[str]], Awaitable[list[ResultT]]]) -> None:
        self._work = work
        self._waiting: deque[_Item[ResultT]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._longest_wait = 0.0

    def take_longest_wait(self) -> float:
        """Return the longest wait for a batch since the last call, in seconds."""
        longest, self._longest_wait = self._longest_wait, 0.0
        return longest

    async def submit(self, text: str) -> ResultT:
        """Return the result for one text. Raises the error of its own work only."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        item = _Item(text, result)
        self._waiting.append(item)
        if self._running is None:
            # A context of its own: the deadline of the first question is not that of the others.
            self._running = asyncio.create_task(self._run_batches(), context=Context())
        return await result

    async def _run_batches(self) -> None:
        try:
            while batch := self._take_batch():
                await self._run(batch)
        finally:
            self._running = None
            for item in self._waiting:  # only when the process ends
                item.result.cancel()

    def _take_batch(self) -> list[_Item[ResultT]]:
        """Take the oldest texts whose callers still wait."""
        batch: list[_Item[ResultT]] = []
        chars = 0
        while self._waiting and len(batch) < BATCH_ITEMS_MAX:
            chars += len(self._waiting[0].text)
            if batch and chars > BATCH_CHARS_MAX:
                break
            item = self._waiting.popleft()
            if not item.result.done():  # done: the caller's deadline passed
                batch.append(item)
                self._longest_wait = max(self._longest_wait, time.monotonic() - item.since)
        return batch

    async def _run(self, batch: list[_Item[ResultT]]) -> None:
        try:
            results = await self._work([item.text for item in batch])
        except asyncio.CancelledError:
            for item in batch:
                item.result.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - any error of the work is its caller's
            await self._handle_error(batch, error)
            return
        for item, result in zip(batch, results, strict=True):
            if not item.result.done():
                item.result.set_result(result)

    async def _handle_error(self, batch: list[_Item[ResultT]], error: Exception) -> None:
        """Repeat each text alone, since one text must not fail the others."""
        if len(batch) == 1 and not batch[0].result.done():
            batch[0].result.set_exception(error)
        for item in batch if len(batch) > 1 else ():
            if not item.result.done():
                await self._run([item])
