"""The guide's monitoring: the key metrics now, and a check that every dashboard panel has data.

Run it while a router serves (`make demo`, or your own): `python examples/monitoring_setup.py`.
It asks PROMETHEUS_URL, and exits with 1 when Prometheus scrapes no router. The dashboards themselves
are in `ops/grafana/dashboards`; docker-compose.yml provisions them at http://localhost:3001.
"""

import asyncio
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from sluice.stack import default_home, load_environment

DASHBOARDS = Path(__file__).parents[1] / "ops" / "grafana" / "dashboards"
WINDOW = "1m"
# The guide: Key Metrics by Stage.
KEY_METRICS = {
    "Latency P99 (s)": f"histogram_quantile(0.99, sum by (le) (rate(router_query_duration_seconds_bucket[{WINDOW}])))",
    "Error rate": f'sum(rate(router_queries_total{{outcome="error"}}[{WINDOW}])) / sum(rate(router_queries_total[{WINDOW}]))',
    "Cache hit rate": f'sum(rate(router_cache_requests_total{{result=~"exact|similar"}}[{WINDOW}])) / sum(rate(router_cache_requests_total{{result!="bypass"}}[{WINDOW}]))',
    "Feedback count": "sum(router_feedback_total)",
    "Average reward": f"sum(rate(router_feedback_reward_sum[{WINDOW}])) / sum(rate(router_feedback_reward_count[{WINDOW}]))",
    "Learning queue": "max(router_feedback_queue_size)",
}


async def query_values(prometheus: httpx.AsyncClient, query: str) -> list[float]:
    """Return one value per series; NaN (such as 0 of 0) counts as missing.

    Raises:
        httpx.HTTPStatusError: Prometheus refuses the query.
    """
    answer = await prometheus.get("/api/v1/query", params={"query": query})
    answer.raise_for_status()
    found = (float(series["value"][1]) for series in answer.json()["data"]["result"])
    return [value for value in found if math.isfinite(value)]


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Dashboard and panel title, and the PromQL."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", WINDOW)
                yield f"{dashboard['title']}: {panel['title']}", query


async def print_key_metrics(prometheus: httpx.AsyncClient) -> None:
    for title, query in KEY_METRICS.items():
        found = await query_values(prometheus, query)
        print(f"{title:<16} {found[0]:.3f}" if found else f"{title:<16} no data yet")


async def main() -> int:
    env = load_environment(default_home(os.environ, Path.cwd())) | dict(os.environ)
    url = env.get("PROMETHEUS_URL", "http://localhost:9090")
    async with httpx.AsyncClient(base_url=url, timeout=10) as prometheus:
        if not sum(await query_values(prometheus, 'up{job="router"}')):
            print(f"{url} scrapes no router (job `router`): start one first", file=sys.stderr)
            return 1
        await print_key_metrics(prometheus)
        queries = list(dashboard_queries())
        empty = [title for title, query in queries if not await query_values(prometheus, query)]
    print(f"{len(queries) - len(empty)} of {len(queries)} panel queries have data")
    for title in empty:
        print(f"  no data yet: {title}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
