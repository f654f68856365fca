"""Warm-up of a router process: its models, cache and stores do their first work before it is ready.

A store's first search opens connections, compiles statements and may load indexes, which takes
seconds on a cold store. Each part is tried until it succeeds once. A part holds readiness until its
first attempt ends, and no part does so for longer than ``LIMIT_SECONDS``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog

from router.backends.base import Backend, SearchRequest, SearchResult
from router.catalog_search.search import CatalogSearch
from router.errors import StoreUnavailable
from router.intent import Intent
from router.overload.timeouts import wait_within
from router.pipeline.cached_answers import AnswerCache
from router.pipeline.pipeline import PipelineDeps
from router.pipeline.query_understanding import QueryUnderstanding

LIMIT_SECONDS = 120.0
RETRY_SECONDS = 1.0
RETRY_SECONDS_MAX = 30.0
QUESTION = "Which records of the last month are about deliveries?"
WarmUpStep = Callable[[], Awaitable[object]]
"""Does a part's first work. It raises while the part is unavailable."""
logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class WarmUp:
    """Warms every part of ``steps``; ``pending`` and ``failures`` describe the parts not yet warm."""

    steps: Mapping[str, WarmUpStep]
    limit_seconds: float = LIMIT_SECONDS
    retry_seconds: float = RETRY_SECONDS
    failures: dict[str, str] = field(default_factory=dict)
    _warm: set[str] = field(default_factory=set)

    @property
    def pending(self) -> tuple[str, ...]:
        """Return the parts whose first attempt has not ended."""
        return tuple(
            name for name in self.steps if name not in self._warm and name not in self.failures
        )

    async def run(self) -> None:
        """Warm all parts at once. Return when each is warm."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for name, step in self.steps.items():
                group.create_task(self._warm_part(name, step))
        logger.info("warm", seconds=round(time.monotonic() - started, 2))

    async def _warm_part(self, name: str, step: WarmUpStep) -> None:
        pause = self.retry_seconds
        while not await self._try_part(name, step):
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)
        self._warm.add(name)
        self.failures.pop(name, None)

    async def _try_part(self, name: str, step: WarmUpStep) -> bool:
        async def attempt() -> None:
            await step()

        try:
            await wait_within(self.limit_seconds, attempt())
        except TimeoutError:
            reason = f"no answer within {self.limit_seconds:g} s"
        except StoreUnavailable as error:
            reason = error.reason
        except Exception as error:  # noqa: BLE001 - a part's failure must not end the process
            reason = type(error).__name__
        else:
            return True
        if name not in self.failures:
            logger.warning("not_warm", part=name, reason=reason)
        self.failures[name] = reason
        return False


def warm_up_steps(deps: PipelineDeps) -> dict[str, WarmUpStep]:
    """Return the first work of the models, the cache, the catalogue and each store."""
    models = deps.understanding
    steps: dict[str, WarmUpStep] = {
        "models": partial(models.analyze_many, [QUESTION]),
        "cache": partial(_look_up, deps.answer_cache, models),
    }
    for name, backend in deps.retrieval.backends.items():
        # Not through its breaker: a cold search neither fails a query nor measures one.
        steps[name] = partial(_search, backend.backend, models)
    if deps.catalog is not None:
        steps["catalog"] = partial(_read_question, deps.catalog, models)
    return steps


async def _look_up(cache: AnswerCache, models: QueryUnderstanding) -> None:
    await cache.warm(QUESTION, (await models.embed([QUESTION]))[0])


async def _search(backend: Backend, models: QueryUnderstanding) -> SearchResult:
    await backend.health()
    vector = (await models.embed([QUESTION]))[0]
    today = datetime.now(UTC).date()
    return await backend.search(SearchRequest(QUESTION, vector, "semantic", 1, today))


async def _read_question(catalog: CatalogSearch, models: QueryUnderstanding) -> None:
    await catalog.reader.wait_until_read()
    today = datetime.now(UTC).date()
    await models.run(lambda: catalog.plan(QUESTION, Intent("semantic", 1.0, "rules"), today, {}))
