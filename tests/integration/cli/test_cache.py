"""``sluice cache`` on a real Redis."""

import asyncio
import json
import sys

import numpy as np
import pytest
from redis.asyncio import Redis

from router.cache import CacheEntry, CacheLimits, CacheScope, SemanticCache
from sluice.cli import main
from sluice.cli.errors import Exit

pytestmark = pytest.mark.integration


async def _fill_cache(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        cache = SemanticCache(redis, "default", CacheLimits())
        for tenant, cohort in (("acme", "control"), ("globex", "control"), ("acme", "treatment")):
            entry = CacheEntry("Who drives truck T-12?", {}, "decision")
            scope, vector = CacheScope(tenant, cohort, 10), np.ones(384, np.float32)
            await cache.put(scope, entry, vector, ["trucks/T-12", f"tenants/{tenant}"])


def test_answers_are_counted_and_forgotten_by_source_for_all_tenants_and_cohorts(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)

    def sluice(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["sluice", "cache", *words])
        assert main._run() == Exit.OK
        return capsys.readouterr().out

    assert sluice("stats") == "the cache is empty\n"
    asyncio.run(_fill_cache(redis_url))
    assert json.loads(sluice("stats", "--json")) == {"entries": {"control": 2, "treatment": 1}}
    assert sluice("forget", "tenants/globex", "trucks/T-99").splitlines() == [
        "tenants/globex: 1 forgotten",
        "trucks/T-99: no cached answer shows it; `sluice ask` prints sources in brackets",
    ]
    assert json.loads(sluice("forget", "trucks/T-12", "--json")) == {
        "forgotten": {"trucks/T-12": 2}
    }
    assert sluice("stats") == "the cache is empty\n"
