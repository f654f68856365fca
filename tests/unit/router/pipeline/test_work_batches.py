"""Concurrent work shares one call: no wait when idle, no error or deadline of one for another."""

import asyncio
from collections.abc import Sequence

import pytest

from router.observability import trace
from router.pipeline.work_batches import BATCH_CHARS_MAX, BATCH_ITEMS_MAX, WorkBatches


class Work:
    """Work that ends when it is released, and records its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()

    async def __call__(self, texts: Sequence[str]) -> list[str]:
        self.batches.append(list(texts))
        await self.gate.wait()
        trace.require_time()
        if "bad" in texts:
            raise ValueError("bad")
        return [text.upper() for text in texts]


async def start(batches: WorkBatches[str], texts: Sequence[str]) -> list["asyncio.Task[str]"]:
    tasks = [asyncio.create_task(batches.submit(text)) for text in texts]
    await asyncio.sleep(0.01)
    return tasks


async def test_the_first_text_starts_at_once_and_the_waiting_ones_share_the_next_call() -> None:
    work = Work()
    batches = WorkBatches(work)
    first = await start(batches, ["a"])
    later = await start(batches, ["b", "c", "d"])
    assert work.batches == [["a"]]
    work.gate.set()
    assert await asyncio.gather(*first, *later) == ["A", "B", "C", "D"]
    assert work.batches == [["a"], ["b", "c", "d"]]


async def test_batches_are_bounded_in_number_and_in_length() -> None:
    work = Work()
    batches = WorkBatches(work)
    texts = [*(str(number) for number in range(BATCH_ITEMS_MAX + 1)), "x" * BATCH_CHARS_MAX]
    tasks = await start(batches, ["first"]) + await start(batches, texts)
    work.gate.set()
    await asyncio.gather(*tasks)
    assert [len(batch) for batch in work.batches] == [1, BATCH_ITEMS_MAX, 1, 1]


async def test_an_error_fails_only_the_text_that_caused_it() -> None:
    work = Work()
    batches = WorkBatches(work)
    tasks = await start(batches, ["first"]) + await start(batches, ["good", "bad", "fine"])
    work.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, ValueError) for each in results] == [False, False, True, False]


async def test_a_text_whose_caller_has_gone_is_left_out() -> None:
    work = Work()
    batches = WorkBatches(work)
    tasks = await start(batches, ["first"]) + await start(batches, ["gone", "here"])
    tasks[1].cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await tasks[2] == "HERE"
    assert work.batches == [["first"], ["here"]]


async def test_the_deadline_of_one_question_does_not_end_the_batch() -> None:
    work = Work()
    batches = WorkBatches(work)
    with trace.open_trace() as late:
        late.deadline = 0.0
        tasks = await start(batches, ["late"])
    tasks += await start(batches, ["other"])
    work.gate.set()
    assert await asyncio.gather(*tasks) == ["LATE", "OTHER"]


async def test_the_end_of_the_process_ends_those_who_wait() -> None:
    async def ended(texts: Sequence[str]) -> list[str]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await WorkBatches(ended).submit("a")
