"""Settings of one router process, read once from the environment (names in ARCHITECTURE.md)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from router.errors import SettingsError
from router.llm.settings import LLMSettings


@dataclass(frozen=True, slots=True)
class Stores:
    """Addresses of the stores. Nothing here is contacted until ``QueryRouter.initialize()``."""

    redis_url: str = "redis://localhost:6379/0"
    postgres_dsn: str = "postgresql://localhost:5432/postgres"
    neo4j_uri: str = "bolt://localhost:7687"
    neo4j_user: str = "neo4j"
    neo4j_password: str | None = None
    neo4j_database: str = "neo4j"
    qdrant_url: str | None = None
    qdrant_path: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit on the way of a query. Times in seconds."""

    question_chars: int = 2000
    results: int = 50
    in_flight: int = 128
    backend_seconds: float = 1.5
    query_seconds: float = 6.0
    cache_seconds: float = 0.25
    cache_ttl_seconds: int = 3600
    cache_entries: int = 100_000
    body_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Probes:
    """Golden questions: ``path`` is a JSONL file of query, intent and backend; none, no probes."""

    path: Path | None = None
    interval_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """What QueryRouter's constructor may say in place of the environment (guide, stage 1)."""

    postgres_dsn: str | None = None
    neo4j_uri: str | None = None
    neo4j_user: str | None = None
    neo4j_password: str | None = None
    openai_api_key: str | None = None
    anthropic_api_key: str | None = None


_STORE_ADDRESSES = ("postgres_dsn", "neo4j_uri", "neo4j_user", "neo4j_password")
_LLM_KEYS = ("openai_api_key", "anthropic_api_key")


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it; ``environment`` is the prefix of every Redis key."""

    environment: str = "default"
    fault_injection: bool = False
    stores: Stores = field(default_factory=Stores)
    limits: Limits = field(default_factory=Limits)
    probes: Probes = field(default_factory=Probes)
    llm: LLMSettings = field(default_factory=LLMSettings)

    def with_addresses(self, given: "Addresses") -> "Settings":
        """These settings, with what the caller of QueryRouter passed in instead."""
        stores = {name: value for name in _STORE_ADDRESSES if (value := getattr(given, name))}
        keys = {name: value for name in _LLM_KEYS if (value := getattr(given, name))}
        return replace(self, stores=replace(self.stores, **stores), llm=replace(self.llm, **keys))

    @classmethod
    def from_environment(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the process's environment.

        Raises:
            SettingsError: a variable has a value that can't be used; the message names it.
        """
        values = os.environ if env is None else env
        return cls(
            environment=values.get("SLUICE_ENVIRONMENT", "default"),
            fault_injection=_switch(values, "SLUICE_FAULT_INJECTION"),
            stores=_stores(values),
            limits=_limits(values),
            probes=_probes(values),
            llm=LLMSettings(
                openai_api_key=values.get("OPENAI_API_KEY"),
                openai_base_url=values.get("OPENAI_BASE_URL"),
                anthropic_api_key=values.get("ANTHROPIC_API_KEY"),
                anthropic_base_url=values.get("ANTHROPIC_BASE_URL"),
            ),
        )


def _stores(env: Mapping[str, str]) -> Stores:
    default = Stores()
    return Stores(
        redis_url=env.get("REDIS_URL", default.redis_url),
        postgres_dsn=env.get("POSTGRES_DSN", default.postgres_dsn),
        neo4j_uri=env.get("NEO4J_URI", default.neo4j_uri),
        neo4j_user=env.get("NEO4J_USER", default.neo4j_user),
        neo4j_password=env.get("NEO4J_PASSWORD"),
        neo4j_database=env.get("NEO4J_DATABASE", default.neo4j_database),
        qdrant_url=env.get("QDRANT_URL"),
        qdrant_path=env.get("QDRANT_PATH"),
    )


def _limits(env: Mapping[str, str]) -> Limits:
    default = Limits()
    return Limits(
        cache_ttl_seconds=int(
            _positive(env, "SLUICE_CACHE_TTL_SECONDS", default.cache_ttl_seconds)
        ),
        in_flight=int(_positive(env, "SLUICE_MAX_IN_FLIGHT", default.in_flight)),
        backend_seconds=_positive(env, "SLUICE_BACKEND_SECONDS", default.backend_seconds),
    )


def _probes(env: Mapping[str, str]) -> Probes:
    path = env.get("SLUICE_PROBES")
    interval = _positive(env, "SLUICE_PROBE_INTERVAL_SECONDS", Probes().interval_seconds)
    return Probes(path=Path(path) if path else None, interval_seconds=interval)


def _switch(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "0")
    if value not in ("0", "1"):
        raise SettingsError(f"{name}={value!r}: give 1 (on) or 0 (off)")
    return value == "1"


def _positive(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r}: give a number above 0") from None
    if not 0 < value < float("inf"):
        raise SettingsError(f"{name}={text!r}: give a number above 0")
    return value
