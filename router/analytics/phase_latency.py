"""Time per phase of recent queries, from the decision log."""

from dataclasses import dataclass

from router.analytics.statements import read_statement
from router.backends.postgres_pool import PostgresPool


@dataclass(frozen=True, slots=True)
class PhaseLatency:
    """Milliseconds of one phase, over the ``queries`` that ran it; ``total`` is the whole query.

    ``search.graph`` and its like are parts of ``search`` and ``correct``, one backend each.
    """

    queries: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


async def fetch_latency_breakdown(
    pool: PostgresPool, environment: str, *, seconds: float = 86_400.0, cohort: str | None = None
) -> dict[str, PhaseLatency]:
    """Return the phases of the last ``seconds``, the costliest first; empty without a logged query.

    Raises:
        asyncpg.PostgresError: the decision log is unavailable, or was never written.
    """
    rows = await pool.fetch(read_statement("phase_latency"), environment, seconds, cohort)
    return {
        row["phase"]: PhaseLatency(
            row["queries"], round(row["mean"], 3), *(round(ms, 3) for ms in row["quantiles"])
        )
        for row in rows
    }
