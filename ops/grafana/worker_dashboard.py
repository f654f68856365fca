"""The dashboard of the workers: our own, beside the guide's four."""

from ops.grafana.panels import Dashboard, Panel, quantile, rate

WORKER = Dashboard(
    "sluice-worker",
    "Rollout Worker",
    "The workers that carry rollouts out, by the Temporal SDK's own metrics.",
    (
        Panel(
            "Workers up",
            "short",
            (("{{instance}}", 'up{job="worker"}'),),
            description="Without one no rollout moves and no red flag is watched.",
        ),
        Panel(
            "Free task slots",
            "short",
            (("{{worker_type}}", "min by (worker_type) (temporal_worker_task_slots_available)"),),
            description="At 0 a rollback would wait for a slot.",
        ),
        Panel(
            "Lateness of red-flag watches P99",
            "s",
            (("{{instance}}", quantile(0.99, "sluice_watch_lateness_seconds", "instance")),),
            limit=5,
            description="Above the limit a worker has too many rollouts, or too little CPU.",
        ),
        Panel(
            "Failed workflow tasks",
            "ops",
            (
                (
                    "{{workflow_type}}",
                    rate("temporal_workflow_task_execution_failed_total", "workflow_type"),
                ),
            ),
            description="A rollout whose task fails is blocked until the worker is repaired.",
        ),
        Panel(
            "Failed activities",
            "ops",
            (
                (
                    "{{activity_type}}",
                    rate("temporal_activity_execution_failed_total", "activity_type"),
                ),
            ),
            description="Each is retried; many mean that a server doesn't answer.",
        ),
        Panel(
            "Wait for a free worker P99",
            "s",
            (
                (
                    "workflow tasks",
                    quantile(0.99, "temporal_workflow_task_schedule_to_start_latency_seconds"),
                ),
                (
                    "activities",
                    quantile(0.99, "temporal_activity_schedule_to_start_latency_seconds"),
                ),
            ),
            limit=1,
        ),
        Panel(
            "Replay P99",
            "s",
            (("replay", quantile(0.99, "temporal_workflow_task_replay_latency_seconds")),),
            description="How long a rollout that fell out of memory takes to come back.",
        ),
        Panel(
            "Pollers",
            "short",
            (("{{poller_type}}", "sum by (poller_type) (temporal_num_pollers)"),),
        ),
        Panel("Rollouts in memory", "short", (("{{instance}}", "temporal_sticky_cache_size"),)),
    ),
)
