"""Every environment variable that the code or the architecture names is in docs/configuration.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from router.settings import Settings
from tests.source_tree import ROOT, python_files, source_nodes

PACKAGES = ("activities", "ops", "router", "sluice", "workflows")
VARIABLE = re.compile(
    r"(SLUICE|OTEL|GRAFANA|TEMPORAL|REDIS|POSTGRES|NEO4J|QDRANT|PROMETHEUS|OPENAI|ANTHROPIC)_[A-Z0-9_]*[A-Z0-9]"
)


def documented_variables() -> dict[str, list[str]]:
    """Variable → the cells of its row."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in cells}


def string_constants(path: Path) -> Iterator[str]:
    for node in source_nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def variables_in_code() -> set[str]:
    paths = [*python_files(*PACKAGES), ROOT / "worker.py"]
    texts = (text for path in paths for text in string_constants(path))
    return {text for text in texts if VARIABLE.fullmatch(text)}


def variables_in_compose() -> set[str]:
    text = (ROOT / "docker-compose.yml").read_text()
    return set(re.findall(r"\$\{(\w+)", text)) | {"SLUICE_HEALTH"}


def test_each_variable_of_the_code_is_documented() -> None:
    assert sorted(variables_in_code() - documented_variables().keys()) == []


def test_each_variable_of_compose_is_documented() -> None:
    assert sorted(variables_in_compose() - documented_variables().keys()) == []


def test_nothing_is_documented_that_nobody_reads() -> None:
    assert (
        sorted(documented_variables().keys() - variables_in_code() - variables_in_compose()) == []
    )


def test_documented_defaults_are_those_of_the_router() -> None:
    stores, limits = Settings().stores, Settings().limits
    expected = {
        "REDIS_URL": stores.redis_url,
        "POSTGRES_DSN": stores.postgres_dsn,
        "NEO4J_URI": stores.neo4j_uri,
        "NEO4J_USER": stores.neo4j_user,
        "NEO4J_DATABASE": stores.neo4j_database,
        "SLUICE_ENVIRONMENT": Settings().environment,
        "SLUICE_CACHE_TTL_SECONDS": limits.cache_ttl_seconds,
        "SLUICE_CACHE_ENTRIES": limits.cache_entries,
        "SLUICE_CACHE_THRESHOLD": limits.cache_threshold,
        "SLUICE_MAX_IN_FLIGHT": limits.in_flight,
        "SLUICE_TENANT_QUERIES_PER_SECOND": int(limits.tenant_queries_per_second),
        "SLUICE_MAX_SEARCHING": limits.concurrent_searches,
        "SLUICE_KNOWN_COSINE": limits.known_cosine,
        "SLUICE_BACKEND_SECONDS": limits.backend_seconds,
        "SLUICE_QUERY_SECONDS": limits.query_seconds,
        "SLUICE_LLM_SECONDS": Settings().llm.timeout,
        "SLUICE_LLM_MAX_TOKENS": Settings().llm.max_tokens,
        "SLUICE_DRAIN_SECONDS": Settings().operation.drain_seconds,
        "SLUICE_LOG_LEVEL": Settings().operation.log_level,
        "SLUICE_LOG_FORMAT": Settings().operation.log_format,
        "SLUICE_ANALYTICS_RETENTION_DAYS": Settings().analytics.retention_days,
        "SLUICE_PROBE_INTERVAL_SECONDS": f"{Settings().probes.interval_seconds:g}",
    }
    assert {name: documented_variables()[name][0] for name in expected} == {
        name: f"`{value}`" for name, value in expected.items()
    }
