"""A router is ready once each part did its first work, and an absent part does not keep it from it."""

import asyncio
from collections.abc import Callable

from router.errors import StoreUnavailable
from router.pipeline.warm_up import WarmUp


async def nothing() -> None:
    pass


async def absent() -> None:
    raise StoreUnavailable("graph", "ServiceUnavailable", "no route to 10.0.0.7")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the state has no event
            await asyncio.sleep(0)


async def test_a_cold_store_holds_readiness_until_its_first_search_ends() -> None:
    loaded = asyncio.Event()

    async def cold() -> None:
        await loaded.wait()

    warm_up = WarmUp({"graph": cold, "cache": nothing})
    running = asyncio.create_task(warm_up.run())
    await until(lambda: warm_up.pending == ("graph",))
    loaded.set()
    await running
    assert (warm_up.pending, warm_up.failures) == ((), {})


async def test_an_absent_store_is_named_without_its_address_and_holds_nothing() -> None:
    warm_up = WarmUp({"graph": absent, "cache": nothing})
    running = asyncio.create_task(warm_up.run())
    await until(lambda: not warm_up.pending)
    assert warm_up.failures == {"graph": "ServiceUnavailable"}
    running.cancel()


async def test_a_frozen_store_holds_readiness_for_the_limit_only() -> None:
    warm_up = WarmUp({"graph": asyncio.Event().wait}, limit_seconds=0.01)
    running = asyncio.create_task(warm_up.run())
    await until(lambda: not warm_up.pending)
    assert warm_up.failures == {"graph": "no answer within 0.01 s"}
    running.cancel()


async def test_a_store_that_returns_is_warmed_behind() -> None:
    attempts = 0

    async def returns() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await absent()

    warm_up = WarmUp({"graph": returns}, retry_seconds=0.01)
    await warm_up.run()
    assert (attempts, warm_up.failures) == (2, {})
