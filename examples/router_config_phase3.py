"""Stage 1 of the guide: phases 1 to 3 active, phase 4 off; the constructor is the guide's.

Run `sluice up`, then `python examples/router_config_phase3.py`. Without a stack of ours, set the
addresses yourself (docs/configuration.md).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from neo4j import AsyncGraphDatabase
from qdrant_client import AsyncQdrantClient
from redis.asyncio import Redis

from router.embedding import LocalEmbedder
from router.router import QueryRouter
from router.settings import Settings
from sluice.stack import default_home, load_environment


def read_addresses() -> dict[str, str]:
    """Those of `sluice up`, and over them what the environment sets."""
    return load_environment(default_home(os.environ, Path.cwd())) | dict(os.environ)


@asynccontextmanager
async def stage_1_parameters(env: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
    """Every parameter of the guide's Stage 1 but phase 4's two; connections close at the end."""
    async with AsyncExitStack() as open_until_done:
        neo4j_driver = await open_until_done.enter_async_context(
            AsyncGraphDatabase.driver(
                env["NEO4J_URI"],
                auth=(env["NEO4J_USER"], env["NEO4J_PASSWORD"]),
                notifications_min_severity="OFF",
            )
        )
        postgres_conn = await open_until_done.enter_async_context(
            asyncpg.create_pool(env["POSTGRES_DSN"], min_size=0)
        )
        qdrant_client = AsyncQdrantClient(url=env["QDRANT_URL"], check_compatibility=False)
        open_until_done.push_async_callback(qdrant_client.close)
        redis_client = Redis.from_url(env["REDIS_URL"])
        open_until_done.push_async_callback(redis_client.aclose)
        yield {
            # Database connections
            "neo4j_driver": neo4j_driver,
            "postgres_conn": postgres_conn,
            "qdrant_client": qdrant_client,
            "redis_client": redis_client,
            "embedding_service": LocalEmbedder(),
            "graphiti_service": None,
            # What the guide has no parameter for: Redis' address for the background tasks, limits
            "settings": Settings.from_environment(env),
        } | configuration(env)


def configuration(env: Mapping[str, str]) -> dict[str, Any]:
    """Run the rest of Stage 1, as in the guide."""
    return {
        # Phase 1: Foundation
        "openai_api_key": env.get("OPENAI_API_KEY"),
        "anthropic_api_key": env.get("ANTHROPIC_API_KEY"),
        "postgres_dsn": env["POSTGRES_DSN"],
        "enable_semantic_classification": True,
        "enable_query_rewriting": True,
        "enable_analytics": True,
        # Phase 2: Intelligent Routing
        "neo4j_uri": env["NEO4J_URI"],
        "neo4j_user": env["NEO4J_USER"],
        "neo4j_password": env["NEO4J_PASSWORD"],
        "enable_adaptive_routing": True,
        "enable_graphrag": True,
        "enable_semantic_cache": True,
        "enable_result_fusion": True,
        "bandit_alpha": 0.5,
        "cache_similarity_threshold": 0.95,
        # Phase 3: Agentic Evolution
        "enable_complexity_analysis": True,
        "enable_multi_router": True,
        "enable_self_correction": True,
        "enable_query_improvement": True,
        "max_correction_retries": 2,
    }


async def main() -> None:
    async with stage_1_parameters(read_addresses()) as parameters:
        router = QueryRouter(
            **parameters,
            # Phase 4: DISABLED (baseline)
            enable_feature_flags=False,
            enable_online_learning=False,
        )
        await router.initialize()
        try:
            answer = await router.query("Which truck is late today?", user_id="user_alice")
            print(f"Intent: {answer.intent}, cohort: {answer.cohort}")
            print(f"Answered in {answer.latency_ms:.0f} ms from {', '.join(answer.backends)}")
            assert answer.cohort == "control"
        finally:
            await router.close()


if __name__ == "__main__":
    asyncio.run(main())
