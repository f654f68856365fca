"""Where the time of queries went, phase by phase, from the decision log."""

from dataclasses import dataclass

from router.backends.postgres_pool import PostgresPool

LATENCY_QUERY = """
    WITH recent AS (
        SELECT latency_ms, detail -> 'phases_ms' AS phases FROM router_decisions
        WHERE environment = $1 AND at >= now() - make_interval(secs => $2)
          AND ($3::text IS NULL OR cohort = $3)
    ), spent AS (
        SELECT 'total' AS phase, latency_ms AS ms FROM recent
        UNION ALL
        SELECT key, value::float8 FROM recent, jsonb_each_text(phases)
    )
    SELECT phase, count(*) AS queries, avg(ms) AS mean,
           percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY ms) AS quantiles
    FROM spent GROUP BY phase ORDER BY sum(ms) DESC
"""


@dataclass(frozen=True, slots=True)
class PhaseLatency:
    """Milliseconds. ``queries`` went through the phase; ``total`` is the whole query.

    ``search.graph`` and the like are parts of ``search`` and ``correct``, one backend each.
    """

    queries: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


async def fetch_latency_breakdown(
    pool: PostgresPool, environment: str, *, seconds: float = 86_400.0, cohort: str | None = None
) -> dict[str, PhaseLatency]:
    """Phases of the last ``seconds``, the costliest first; empty when nothing was logged.

    Raises asyncpg's errors: the decision log is away, or was never written.
    """
    rows = await pool.fetch(LATENCY_QUERY, environment, seconds, cohort)
    return {
        row["phase"]: PhaseLatency(
            row["queries"], round(row["mean"], 3), *(round(ms, 3) for ms in row["quantiles"])
        )
        for row in rows
    }
