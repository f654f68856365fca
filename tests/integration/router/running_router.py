"""Routers on the real stores, for the tests of the pipeline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.phases.phase_switches import PHASE4_FLAG
from router.router import QueryRouter
from router.settings import Settings

CLOSED_ADDRESS = "127.0.0.1:9"  # the discard port: nothing listens


@asynccontextmanager
async def running_router(settings: Settings, **switches: bool | int) -> AsyncIterator[QueryRouter]:
    router = QueryRouter(settings=settings, **switches)  # type: ignore[arg-type]  # by name
    await router.initialize()
    try:
        yield router
    finally:
        await router.close()


@asynccontextmanager
async def running_treated_router(settings: Settings) -> AsyncIterator[QueryRouter]:
    """Alice is treated, everybody else is not."""
    async with running_router(
        settings, enable_feature_flags=True, enable_online_learning=True
    ) as router:
        flags = router.feature_flags
        assert flags is not None
        await flags.create_flag(PHASE4_FLAG)
        await flags.add_to_whitelist(PHASE4_FLAG, "alice")
        async with asyncio.timeout(3):
            while not flags.evaluate(PHASE4_FLAG, "alice").enabled:  # noqa: ASYNC110  # another thread or process changes it
                await asyncio.sleep(0.02)
        yield router
