"""Settings of one router process, read once from the environment (names in docs/configuration.md)."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from router.env import (
    read_address,
    read_choice,
    read_fraction,
    read_non_negative,
    read_positive,
    read_switch,
)
from router.errors import RouterSettingsError
from router.llm.settings import LLMSettings, read_llm_settings
from sluice.flags.signatures.keys import FlagKeyError, load_public_keys


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Addresses of the stores. Nothing here is contacted until ``QueryRouter.initialize()``."""

    redis_url: str = "redis://localhost:6379/0"
    redis_cache_url: str | None = None
    postgres_dsn: str = "postgresql://localhost:5432/postgres"
    neo4j_uri: str = "bolt://localhost:7687"
    neo4j_user: str = "neo4j"
    neo4j_password: str | None = None
    neo4j_database: str = "neo4j"
    qdrant_url: str | None = None
    qdrant_path: str | None = None

    @property
    def cache_url(self) -> str:
        """The Redis of cached answers: its own, or the one of the flags."""
        return self.redis_cache_url or self.redis_url


KNOWN_COSINE = 0.34
"""From here on the stores know something of a question that the classifier takes for out of scope.
Measured on the demo's knowledge base: questions outside of it reach 0.333 at most ("Who invented
the telephone?", beside a page on telephones at the wheel), 95 % of those inside are above 0.34."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit on the way of a query. Times in seconds.

    ``in_flight`` counts all queries of a process, ``concurrent_searches`` those that the cache
    didn't answer; more of these wait up to ``wait_seconds`` for a turn (``router.overload.admission``). ``cache_threshold`` is what a
    router process passes for ``cache_similarity_threshold``.
    """

    question_chars: int = 2000
    results: int = 50
    in_flight: int = 128
    tenant_queries_per_second: float = 0.0
    concurrent_searches: int = 16
    wait_seconds: float = 0.3
    backend_seconds: float = 1.5
    query_seconds: float = 6.0
    cache_seconds: float = 0.5
    known_cosine: float = KNOWN_COSINE
    cache_ttl_seconds: int = 3600
    cache_entries: int = 100_000
    cache_threshold: float = 0.95
    cache_memory_bytes: int = 2**30
    body_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Golden questions: ``path`` is a JSONL file of query, intent and backend; none, no probes."""

    path: Path | None = None
    interval_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """API keys and the key of query ids.

    ``keys_path`` is a file of hashed keys (router/http/api_keys.py). ``query_id_key`` signs query
    ids; None shares a random key through Redis. ``open_access`` allows other machines to connect
    to a process without keys. ``trusted_hosts`` are additional values of the Host header.
    """

    keys_path: Path | None = None
    query_id_key: bytes | None = field(default=None, repr=False)
    open_access: bool = False
    trusted_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnalyticsSettings:
    """The decision log in Postgres. ``queue_max`` bounds what waits in memory."""

    retention_days: float = 90.0
    queue_max: int = 10_000
    log_queries: bool = False  # keep the questions' text too
    flush_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class OperationSettings:
    """The operation of a process: logs, and seconds of ``/readyz`` 503 before it stops taking queries.

    ``advertised_address`` (host or host:port) is where the worker reaches it; empty: as it listens.
    """

    log_level: str = "info"
    log_format: str = "auto"
    drain_seconds: float = 0.0
    advertised_address: str = ""


@dataclass(frozen=True, slots=True)
class AddressOverrides:
    """Addresses from QueryRouter's constructor, instead of the environment (guide, stage 1)."""

    postgres_dsn: str | None = None
    neo4j_uri: str | None = None
    neo4j_user: str | None = None
    neo4j_password: str | None = None
    openai_api_key: str | None = None
    anthropic_api_key: str | None = None


_STORE_ADDRESSES = ("postgres_dsn", "neo4j_uri", "neo4j_user", "neo4j_password")
_LLM_KEYS = ("openai_api_key", "anthropic_api_key")
_REDIS = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_POSTGRES = ("postgresql", "postgres")
_NEO4J = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it; ``environment`` is the prefix of every Redis key."""

    environment: str = "default"
    fault_injection: bool = False
    stores: StoreSettings = field(default_factory=StoreSettings)
    limits: Limits = field(default_factory=Limits)
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    llm: LLMSettings = field(default_factory=LLMSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    analytics: AnalyticsSettings = field(default_factory=AnalyticsSettings)
    operation: OperationSettings = field(default_factory=OperationSettings)
    intent_model: Path | None = None
    catalog: Path | None = None
    flags_public_keys: tuple[bytes, ...] = ()

    def with_overrides(self, overrides: "AddressOverrides") -> "Settings":
        """Return these settings with the addresses of QueryRouter's caller."""
        stores = {name: value for name in _STORE_ADDRESSES if (value := getattr(overrides, name))}
        keys = {name: value for name in _LLM_KEYS if (value := getattr(overrides, name))}
        return replace(self, stores=replace(self.stores, **stores), llm=replace(self.llm, **keys))

    @classmethod
    def from_environment(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the process's environment.

        Raises:
            RouterSettingsError: a variable has a value that can't be used; the message names it.
        """
        values = os.environ if env is None else env
        return cls(
            environment=values.get("SLUICE_ENVIRONMENT", "default"),
            fault_injection=read_switch(values, "SLUICE_FAULT_INJECTION"),
            stores=_read_stores(values),
            limits=_read_limits(values),
            probes=_read_probes(values),
            llm=read_llm_settings(values),
            access=_read_access(values),
            analytics=_read_analytics(values),
            operation=_read_operation(values),
            intent_model=_read_path(values, "SLUICE_INTENT_MODEL"),
            catalog=_read_path(values, "SLUICE_CATALOG"),
            flags_public_keys=_read_public_keys(values),
        )


def _read_public_keys(env: Mapping[str, str]) -> tuple[bytes, ...]:
    try:
        return load_public_keys(env)
    except FlagKeyError as error:
        raise RouterSettingsError(str(error)) from error


def _read_path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(path) if (path := env.get(name)) else None


def _read_stores(env: Mapping[str, str]) -> StoreSettings:
    default = StoreSettings()
    return StoreSettings(
        redis_url=read_address(env, "REDIS_URL", _REDIS, default.redis_url),
        redis_cache_url=(
            read_address(env, "REDIS_CACHE_URL", _REDIS, "") if env.get("REDIS_CACHE_URL") else None
        ),
        postgres_dsn=read_address(env, "POSTGRES_DSN", _POSTGRES, default.postgres_dsn),
        neo4j_uri=read_address(env, "NEO4J_URI", _NEO4J, default.neo4j_uri),
        neo4j_user=env.get("NEO4J_USER", default.neo4j_user),
        neo4j_password=env.get("NEO4J_PASSWORD"),
        neo4j_database=env.get("NEO4J_DATABASE", default.neo4j_database),
        qdrant_url=env.get("QDRANT_URL"),
        qdrant_path=env.get("QDRANT_PATH"),
    )


def _read_limits(env: Mapping[str, str]) -> Limits:
    default = Limits()
    return Limits(
        cache_ttl_seconds=int(
            read_positive(env, "SLUICE_CACHE_TTL_SECONDS", default.cache_ttl_seconds)
        ),
        cache_entries=int(read_positive(env, "SLUICE_CACHE_ENTRIES", default.cache_entries)),
        cache_threshold=read_fraction(env, "SLUICE_CACHE_THRESHOLD", default.cache_threshold),
        cache_memory_bytes=int(
            read_positive(env, "SLUICE_CACHE_MEMORY_BYTES", default.cache_memory_bytes)
        ),
        in_flight=int(read_positive(env, "SLUICE_MAX_IN_FLIGHT", default.in_flight)),
        tenant_queries_per_second=read_non_negative(
            env, "SLUICE_TENANT_QUERIES_PER_SECOND", default.tenant_queries_per_second
        ),
        known_cosine=read_fraction(env, "SLUICE_KNOWN_COSINE", default.known_cosine),
        concurrent_searches=int(
            read_positive(env, "SLUICE_MAX_SEARCHING", default.concurrent_searches)
        ),
        backend_seconds=read_positive(env, "SLUICE_BACKEND_SECONDS", default.backend_seconds),
        query_seconds=read_positive(env, "SLUICE_QUERY_SECONDS", default.query_seconds),
    )


def _read_probes(env: Mapping[str, str]) -> ProbeSettings:
    path = env.get("SLUICE_PROBES")
    interval = read_positive(env, "SLUICE_PROBE_INTERVAL_SECONDS", ProbeSettings().interval_seconds)
    return ProbeSettings(path=Path(path) if path else None, interval_seconds=interval)


QUERY_ID_KEY_CHARS_MIN = 32


def _read_access(env: Mapping[str, str]) -> AccessSettings:
    path = env.get("SLUICE_API_KEYS")
    hosts = tuple(name.strip() for name in env.get("SLUICE_TRUSTED_HOSTS", "").split(","))
    return AccessSettings(
        Path(path) if path else None,
        _read_query_id_key(env),
        open_access=read_switch(env, "SLUICE_OPEN_ACCESS"),
        trusted_hosts=tuple(name for name in hosts if name),
    )


def _read_query_id_key(env: Mapping[str, str]) -> bytes | None:
    """Read the key without repeating it in an error."""
    value = env.get("SLUICE_QUERY_ID_KEY", "")
    if value and len(value) < QUERY_ID_KEY_CHARS_MIN:
        raise RouterSettingsError(
            f"SLUICE_QUERY_ID_KEY has {len(value)} characters: give at least "
            f"{QUERY_ID_KEY_CHARS_MIN}, for example from `openssl rand -hex 32`"
        )
    return value.encode() or None


def _read_analytics(env: Mapping[str, str]) -> AnalyticsSettings:
    default = AnalyticsSettings()
    days = read_positive(env, "SLUICE_ANALYTICS_RETENTION_DAYS", default.retention_days)
    queries = read_switch(env, "SLUICE_ANALYTICS_QUERIES")
    return AnalyticsSettings(retention_days=days, log_queries=queries)


def _read_operation(env: Mapping[str, str]) -> OperationSettings:
    default = OperationSettings()
    levels = ("debug", "info", "warning", "error")
    return OperationSettings(
        log_level=read_choice(env, "SLUICE_LOG_LEVEL", levels, default.log_level),
        log_format=read_choice(
            env, "SLUICE_LOG_FORMAT", ("auto", "json", "text"), default.log_format
        ),
        drain_seconds=read_non_negative(env, "SLUICE_DRAIN_SECONDS", default.drain_seconds),
        advertised_address=_read_host_and_port(env, "SLUICE_ADVERTISED_ADDRESS"),
    )


def _read_host_and_port(env: Mapping[str, str], name: str) -> str:
    """``host`` or ``host:port``; a URL is refused, for a path or a scheme would be lost."""
    value = env.get(name, "")
    if not re.fullmatch(r"[\w.:\[\]-]*", value):
        raise RouterSettingsError(f"{name}={value!r}: give host or host:port, without http://")
    return value
