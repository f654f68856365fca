"""Any one store, or the language model, stopped, frozen or talking nonsense: the others answer.

Each answer says that it is degraded and by what; the router recovers by itself. Redis is the cache
here; what its loss does to flags is tested in test_flags_faults.py.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest

from router.answer import Answer
from router.llm import LLMSettings
from router.router import QueryRouter
from router.settings import Limits, Settings, StoreSettings
from sluice.stack import Stack
from tests.company_fixtures import fill_stores, store_addresses
from tests.conftest import Neo4jSettings
from tests.faults.faulty_proxy import FaultyProxy, ProxyFault, faulty_proxy, frozen_process

pytestmark = pytest.mark.integration

LIMITS = Limits(backend_seconds=0.5, query_seconds=3.0, cache_seconds=0.25)
RECOVERY_SECONDS_MAX = 20.0
QUESTIONS = (
    "Who drives truck T-12?",
    "overdue invoices with amount_eur > 5000",
    "find documents about rest times of drivers",
)
QUESTION_OF = {"graph": QUESTIONS[0], "postgres": QUESTIONS[1], "qdrant": QUESTIONS[2]}


@pytest.fixture
async def seeded_settings(
    redis_url: str, postgres_dsn: str, neo4j_settings: Neo4jSettings, qdrant_url: str
) -> Settings:
    stores = store_addresses(redis_url, postgres_dsn, neo4j_settings, qdrant_url)
    settings = Settings(environment="router-faults", stores=stores, limits=LIMITS)
    await fill_stores(settings)
    return settings


@asynccontextmanager
async def running_router(settings: Settings, *, cache: bool) -> AsyncIterator[QueryRouter]:
    router = QueryRouter(settings=settings, enable_semantic_cache=cache)
    await router.initialize()
    try:
        yield router
    finally:
        await router.close()


@dataclass(frozen=True)
class BreakablePart:
    """One part that can be broken: its name among the failures, and its address in the settings."""

    part: str
    setting: str
    service: str

    def address(self, stores: StoreSettings) -> str:
        found: str = getattr(stores, self.setting)
        return found

    def stores_through(self, stores: StoreSettings, wire: FaultyProxy) -> StoreSettings:
        url = urlsplit(self.address(stores))
        netloc = url.netloc.replace(f":{url.port}", f":{wire.port}")
        return replace(stores, **{self.setting: url._replace(netloc=netloc).geturl()})


FAULTS: tuple[ProxyFault, ...] = ("stopped", "garbage")
STORES = (
    BreakablePart("graph", "neo4j_uri", "graph"),
    BreakablePart("postgres", "postgres_dsn", "postgres"),
    BreakablePart("qdrant", "qdrant_url", "qdrant"),
    BreakablePart("cache", "redis_url", "redis"),
)


async def ask_all(router: QueryRouter, times: int = 2) -> list[Answer]:
    """Every question, a few times, side by side; an exception fails the test."""
    asked = [router.query(text, user_id="bob") for text in QUESTIONS * times]
    return await asyncio.gather(*asked)


async def assert_degraded_answers(router: QueryRouter, part: str) -> None:
    """Answers keep coming, in time, with records, and those that miss the part say so."""
    answers = await ask_all(router)
    assert all(answer.results for answer in answers)
    assert max(answer.latency_ms for answer in answers) < LIMITS.query_seconds * 1000
    met = [a for a in answers if a.query == QUESTION_OF.get(part, a.query)]
    assert met
    for answer in met:
        assert answer.degraded
        assert part in answer.failures, answer.failures
        assert "127.0.0.1" not in answer.failures[part]  # an answer must not reveal addresses


async def wait_until_recovered(router: QueryRouter) -> None:
    """Without a restart: whole answers again, none of them degraded."""
    began = time.monotonic()
    while any(answer.degraded for answer in await ask_all(router, times=1)):
        assert time.monotonic() - began < RECOVERY_SECONDS_MAX, "still degraded"
        await asyncio.sleep(0.25)


@pytest.mark.parametrize("broken", STORES, ids=lambda broken: broken.part)
async def test_a_broken_store_costs_its_own_answers_only(
    seeded_settings: Settings, shared_stack: Stack, broken: BreakablePart
) -> None:
    port = urlsplit(broken.address(seeded_settings.stores)).port
    assert port is not None
    pid = _pid(shared_stack, broken.service)
    async with faulty_proxy(port) as wire:
        settings = replace(
            seeded_settings, stores=broken.stores_through(seeded_settings.stores, wire)
        )
        async with running_router(settings, cache=broken.part == "cache") as router:
            await wait_until_recovered(router)
            for fault in FAULTS:
                await wire.set_fault(fault)
                await assert_degraded_answers(router, broken.part)
                await wire.set_fault("none")
                await wait_until_recovered(router)
            with frozen_process(pid):
                await assert_degraded_answers(router, broken.part)
                await assert_failing_part_skipped(router)
            await wait_until_recovered(router)


async def assert_failing_part_skipped(router: QueryRouter) -> None:
    """Skip a store that keeps failing: most queries do not wait for it."""
    for _ in range(5):
        await ask_all(router, times=1)
    answers = [answer for _ in range(4) for answer in await ask_all(router, times=1)]
    fast = [answer for answer in answers if answer.latency_ms < LIMITS.backend_seconds * 1000]
    assert len(fast) >= len(answers) / 2


def _pid(stack: Stack, service: str) -> int:
    state = json.loads((stack.home / "stack.json").read_text())
    pid: int = state["services"][service]["pid"]
    os.kill(pid, 0)
    return pid


@asynccontextmanager
async def running_openai_stub() -> AsyncIterator[int]:
    """Serve a model behind OpenAI's protocol that returns every question unchanged."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        asked = json.loads(await reader.readexactly(length))
        question = asked["messages"][1]["content"].partition("Question: ")[2]
        labelled = "intent" in json.dumps(asked["response_format"])
        said = (
            {"intent": "graph", "confidence": 0.9}
            if labelled
            else {"rewritten": question, "parts": [question]}
        )
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": json.dumps(said)},
        }
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        text = json.dumps(body | {"choices": [choice], "usage": usage}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            + f"content-length: {len(text)}\r\n\r\n".encode()
            + text
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_language_model_costs_its_improvements_only(
    seeded_settings: Settings, fault: ProxyFault
) -> None:
    async with running_openai_stub() as port, faulty_proxy(port) as wire:
        url = f"http://127.0.0.1:{wire.port}/v1"
        llm = LLMSettings(openai_api_key="key", openai_base_url=url, timeout=1.0, max_retries=0)
        async with running_router(replace(seeded_settings, llm=llm), cache=False) as router:
            await wait_until_recovered(router)
            count = router.metrics.registry.get_sample_value
            assert count("router_llm_tokens_total", {"kind": "output"})
            await wire.set_fault(fault)
            await assert_degraded_answers(router, "llm")
            await wire.set_fault("none")
            await wait_until_recovered(router)
            assert count("router_llm_requests_total", {"outcome": "unavailable"})


async def test_a_language_model_that_never_answers_is_waited_for_once_and_then_left_alone(
    seeded_settings: Settings,
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    llm = LLMSettings(openai_api_key="key", openai_base_url=url, timeout=0.4, max_retries=0)
    async with running_router(replace(seeded_settings, llm=llm), cache=False) as router:
        await assert_degraded_answers(router, "llm")
        answer = await router.query(QUESTIONS[0], user_id="bob")
        assert answer.phases_ms["rewrite"] < 200
        assert "skipped" in answer.failures["llm"]
    server.close()
    await asyncio.sleep(0.1)  # the silent connections end
