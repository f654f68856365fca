"""Write the guide's four Grafana dashboards to `dashboards/*.json`: `python ops/grafana/dashboards.py`.

Guide: Monitoring Dashboard, Grafana Dashboards. A test keeps the written files and this one equal,
and holds every expression against the router's real metrics.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SCHEMA_VERSION = 41  # Grafana 11.6
WIDTH, HEIGHT, PER_ROW = 12, 8, 2
WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph of one or more (legend, PromQL) pairs; `limit` draws a red line where the guide has one."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    limit: float | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]


def rate(metric: str, by: str = "", match: str = "") -> str:
    """Per-second rate of a counter, summed over router processes."""
    grouping = f" by ({by})" if by else ""
    selector = f"{{{match}}}" if match else ""
    return f"sum{grouping} (rate({metric}{selector}[{WINDOW}]))"


def ratio(metric: str, match: str, by: str = "", of: str = "") -> str:
    """Share of a counter's `match` among its `of` (all, unless told)."""
    return f"{rate(metric, by, match)} / {rate(metric, by, of)}"


def quantile(q: float, histogram: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', labels)})"


def latency(title: str, q: float, limit: float | None = None) -> Panel:
    by_cohort = quantile(q, "router_query_duration_seconds", "cohort")
    return Panel(title, "s", (("{{cohort}}", by_cohort),), limit)


OVERVIEW = Dashboard(
    "sluice-overview",
    "Query Router Overview",
    "Latency, throughput and error rate of every router process together.",
    (
        latency("Latency P50", 0.5),
        latency("Latency P90", 0.9),
        latency("Latency P99", 0.99, limit=1),
        Panel(
            "Error rate",
            "percentunit",
            (("{{cohort}}", ratio("router_queries_total", 'outcome="error"', "cohort")),),
            limit=0.01,
        ),
        Panel("Throughput", "reqps", (("{{cohort}}", rate("router_queries_total", "cohort")),)),
        Panel(
            "Degraded answers",
            "percentunit",
            (("{{cohort}}", ratio("router_queries_total", 'outcome="degraded"', "cohort")),),
            description="Answered without one of the stores or models.",
        ),
        Panel(
            "Queries by intent", "reqps", (("{{intent}}", rate("router_queries_total", "intent")),)
        ),
        Panel(
            "Cache hit rate",
            "percentunit",
            (
                (
                    "{{cohort}}",
                    ratio(
                        "router_cache_requests_total",
                        'result=~"exact|similar"',
                        "cohort",
                        'result!="bypass"',
                    ),
                ),
            ),
            limit=0.7,
        ),
        Panel(
            "Accuracy on golden questions",
            "percentunit",
            (
                (
                    "{{kind}} {{cohort}}",
                    ratio("router_probe_total", 'correct="true"', "kind, cohort"),
                ),
            ),
            limit=0.95,
        ),
        Panel("Routers up", "short", (("{{instance}}", 'up{job="router"}'),)),
    ),
)

PHASE_4 = Dashboard(
    "sluice-phase4",
    "Phase 4 Monitoring",
    "Online learning: feedback, reward, queue and the learner.",
    (
        Panel(
            "Feedback", "cpm", (("{{cohort}}", f"60 * {rate('router_feedback_total', 'cohort')}"),)
        ),
        Panel(
            "Average reward",
            "short",
            (
                (
                    "{{cohort}}",
                    f"{rate('router_feedback_reward_sum', 'cohort')}"
                    f" / {rate('router_feedback_reward_count', 'cohort')}",
                ),
            ),
            limit=0.5,
        ),
        Panel(
            "Feedback queue", "short", (("waiting", "max(router_feedback_queue_size)"),), limit=500
        ),
        Panel(
            "Weights version",
            "short",
            (("{{instance}}", "router_learner_weights_version"),),
            description="Rises with every batch learned; the same in every process.",
        ),
        Panel(
            "Learner last alive",
            "s",
            (("ago", "time() - max(router_learner_heartbeat_timestamp_seconds > 0)"),),
            limit=30,
        ),
        Panel(
            "Last batch learned",
            "s",
            (("ago", "time() - max(router_learner_last_batch_timestamp_seconds > 0)"),),
        ),
        Panel("Learner errors", "ops", (("errors", rate("router_learner_errors_total")),)),
        Panel(
            "Complaints", "short", (("{{cohort}}", "sum by (cohort) (router_complaints_total)"),)
        ),
        Panel(
            "Memory of the router",
            "bytes",
            (("{{instance}}", 'process_resident_memory_bytes{job="router"}'),),
        ),
    ),
)

DATABASES = Dashboard(
    "sluice-databases",
    "Database Health",
    "The router's stores as the router sees them.",
    (
        Panel(
            "Search latency P50",
            "s",
            (("{{backend}}", quantile(0.5, "router_backend_duration_seconds", "backend")),),
        ),
        Panel(
            "Search latency P99",
            "s",
            (("{{backend}}", quantile(0.99, "router_backend_duration_seconds", "backend")),),
        ),
        Panel(
            "Searches",
            "reqps",
            (("{{backend}}", rate("router_backend_duration_seconds_count", "backend")),),
        ),
        Panel("Redis errors", "ops", (("errors", rate("router_redis_errors_total")),)),
        Panel(
            "Open connections and files",
            "short",
            (
                ("{{instance}}", 'process_open_fds{job="router"}'),
                ("{{instance}} limit", 'process_max_fds{job="router"}'),
            ),
            description="Connection pools show here: each connection is an open file of the process.",
        ),
        Panel("Stores up", "short", (("{{job}}", 'up{job!="router"}'),)),
    ),
)

FLAGS = Dashboard(
    "sluice-flags",
    "Feature Flags",
    "What each router process believes about the flags.",
    (
        Panel(
            "Rollout percentage",
            "percent",
            (("{{flag}} {{instance}}", "router_flag_rollout_percentage"),),
            description="Per process: two lines apart mean a process that has not heard yet.",
        ),
        Panel(
            "Evaluation latency",
            "s",
            (
                ("P50", quantile(0.5, "router_flag_evaluation_seconds")),
                ("P99", quantile(0.99, "router_flag_evaluation_seconds")),
            ),
            limit=0.005,
        ),
        Panel(
            "Age of the lease",
            "s",
            (("{{instance}}", "router_flag_lease_age_seconds"),),
            limit=1,
            description="Beyond the lease a process treats every treatment as off.",
        ),
        Panel(
            "Share of queries in the treatment",
            "percentunit",
            (("treatment", ratio("router_queries_total", 'cohort="treatment"')),),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, PHASE_4, DATABASES, FLAGS)


def panel_json(number: int, panel: Panel) -> dict[str, Any]:
    column, row = number % PER_ROW, number // PER_ROW
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": row * HEIGHT},
        "fieldConfig": {"defaults": defaults_json(panel), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend}
            for i, (legend, query) in enumerate(panel.queries)
        ],
    }


def defaults_json(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return defaults


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["sluice"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "5s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": [panel_json(i, panel) for i, panel in enumerate(dashboard.panels)],
    }


def files() -> Iterator[tuple[Path, str]]:
    """Each dashboard's path and the text it should hold."""
    for dashboard in DASHBOARDS:
        text = json.dumps(dashboard_json(dashboard), indent=2) + "\n"
        yield FOLDER / f"{dashboard.uid}.json", text


def main() -> None:
    for path, text in files():
        path.write_text(text)


if __name__ == "__main__":
    main()
