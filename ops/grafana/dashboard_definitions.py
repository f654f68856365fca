"""Write the guide's four Grafana dashboards, and the worker's, to `dashboards/*.json`: `python ops/grafana/dashboard_definitions.py`.

Guide: Monitoring Dashboard, Grafana Dashboards. A test keeps the written files and this one equal,
and holds every expression against the router's real metrics.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from ops.grafana.panels import (
    Dashboard,
    Panel,
    dashboard_json,
    latency_panel,
    quantile,
    rate,
    ratio,
)
from ops.grafana.user_panels import USER_PANELS
from ops.grafana.worker_dashboard import WORKER

FOLDER = Path(__file__).parent / "dashboards"

OVERVIEW = Dashboard(
    "sluice-overview",
    "Query Router Overview",
    "Latency, throughput and error rate of every router process together.",
    (
        latency_panel("Latency P50", 0.5),
        latency_panel("Latency P90", 0.9),
        latency_panel("Latency P99", 0.99, limit=1),
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
            "Refused",
            "reqps",
            (("{{reason}} {{cohort}}", rate("router_refused_total", "reason, cohort")),),
            description="Refused for overload, or late for a request's own short deadline.",
        ),
        Panel(
            "Event loop lag",
            "s",
            (("{{instance}}", "max by (instance) (router_event_loop_lag_seconds)"),),
            limit=0.05,
            description="Above the line queries are refused unread: more processes, or more cores.",
        ),
        Panel(
            "Searches at once",
            "short",
            (("{{instance}}", "min by (instance) (router_searches_allowed)"),),
            description="Fewer than SLUICE_MAX_SEARCHING while the event loop is late.",
        ),
        Panel(
            "Queries by intent", "reqps", (("{{intent}}", rate("router_queries_total", "intent")),)
        ),
        Panel(
            "Error rate by tenant",
            "percentunit",
            (("{{tenant}}", ratio("router_tenant_queries_total", 'outcome="error"', "tenant")),),
            limit=0.01,
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
        Panel(
            "Time by phase",
            "s",
            (
                (
                    "{{phase}}",
                    f"{rate('router_phase_duration_seconds_sum', 'phase')}"
                    " / ignoring (phase) group_left "
                    f"{rate('router_query_duration_seconds_count')}",
                ),
            ),
            description="Mean seconds a query spends in each phase; the stack is the mean latency.",
        ),
        Panel(
            "Language model requests",
            "reqps",
            (("{{outcome}}", rate("router_llm_requests_total", "outcome")),),
        ),
        Panel(
            "Language model latency",
            "s",
            (
                ("P50", quantile(0.5, "router_llm_duration_seconds")),
                ("P99", quantile(0.99, "router_llm_duration_seconds")),
            ),
        ),
        Panel(
            "Language model tokens and cost",
            "short",
            (
                ("{{kind}} tokens/s", rate("router_llm_tokens_total", "kind")),
                ("dollars an hour", f"3600 * {rate('router_llm_cost_usd_total')}"),
            ),
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
        *USER_PANELS,
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
            "Redis memory",
            "bytes",
            (
                ("used", "max(router_redis_memory_bytes)"),
                ("maxmemory", "max(router_redis_memory_max_bytes)"),
            ),
            description="Of the Redis that holds the flags; maxmemory is 0 without a limit.",
        ),
        Panel(
            "Open connections and files",
            "short",
            (
                ("{{instance}}", 'process_open_fds{job="router"}'),
                ("{{instance}} limit", 'process_max_fds{job="router"}'),
            ),
            description="Connection pools show here: each connection is an open file of the process.",
        ),
        Panel(
            "Decision log",
            "wps",
            (
                ("written", rate("router_analytics_written_total")),
                ("dropped: {{reason}}", rate("router_analytics_dropped_total", "reason")),
            ),
            description="Dropped rows are lost analytics, never lost answers.",
        ),
        Panel("Decisions waiting", "short", (("{{instance}}", "router_analytics_queue_size"),)),
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

DASHBOARDS = (OVERVIEW, PHASE_4, DATABASES, FLAGS, WORKER)


def dashboard_files() -> Iterator[tuple[Path, str]]:
    """Each dashboard's path and the text it should hold."""
    for dashboard in DASHBOARDS:
        text = json.dumps(dashboard_json(dashboard), indent=2) + "\n"
        yield FOLDER / f"{dashboard.uid}.json", text


def main() -> None:
    for path, text in dashboard_files():
        path.write_text(text)


if __name__ == "__main__":
    main()
