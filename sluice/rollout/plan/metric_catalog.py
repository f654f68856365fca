"""Every series that a router process exports, with its labels: what plans may name.

``tests/unit/rollout/plan/test_metric_catalog.py`` holds it equal to ``router/observability/metrics.py``; dashboards and alert rules are
checked against the same. A renamed metric would leave a gate without data for four weeks.
"""

ROUTER_SERIES: dict[str, tuple[str, ...]] = {
    "process_cpu_seconds_total": (),
    "process_max_fds": (),
    "process_open_fds": (),
    "process_resident_memory_bytes": (),
    "process_start_time_seconds": (),
    "process_virtual_memory_bytes": (),
    "router_analytics_dropped_total": ("reason",),
    "router_analytics_queue_size": (),
    "router_analytics_written_total": (),
    "router_backend_duration_seconds_bucket": ("backend",),
    "router_backend_duration_seconds_count": ("backend",),
    "router_backend_duration_seconds_sum": ("backend",),
    "router_cache_requests_total": ("cohort", "result"),
    "router_complaints_total": ("cohort",),
    "router_event_loop_lag_seconds": (),
    "router_feedback_queue_size": (),
    "router_feedback_reward_count": ("cohort",),
    "router_feedback_reward_sum": ("cohort",),
    "router_feedback_total": ("cohort",),
    "router_flag_evaluation_seconds_bucket": (),
    "router_flag_evaluation_seconds_count": (),
    "router_flag_evaluation_seconds_sum": (),
    "router_flag_lease_age_seconds": (),
    "router_flag_rollout_percentage": ("flag",),
    "router_learner_errors_total": (),
    "router_learner_heartbeat_timestamp_seconds": (),
    "router_learner_last_batch_timestamp_seconds": (),
    "router_learner_weights_version": (),
    "router_llm_cost_usd_total": (),
    "router_llm_duration_seconds_bucket": (),
    "router_llm_duration_seconds_count": (),
    "router_llm_duration_seconds_sum": (),
    "router_llm_requests_total": ("outcome",),
    "router_llm_tokens_total": ("kind",),
    "router_phase_duration_seconds_bucket": ("phase",),
    "router_phase_duration_seconds_count": ("phase",),
    "router_phase_duration_seconds_sum": ("phase",),
    "router_probe_total": ("cohort", "correct", "kind"),
    "router_queries_total": ("cohort", "intent", "outcome"),
    "router_query_duration_seconds_bucket": ("cohort",),
    "router_query_duration_seconds_count": ("cohort",),
    "router_query_duration_seconds_sum": ("cohort",),
    "router_redis_errors_total": (),
    "router_redis_memory_bytes": (),
    "router_redis_memory_max_bytes": (),
    "router_refused_total": ("cohort", "reason"),
    "router_searches_allowed": (),
    "router_tenant_queries_total": ("cohort", "outcome", "tenant"),
    "router_users_counted_since_timestamp_seconds": (),
    "router_users_dropped_total": ("reason",),
    "router_users_failed_at_risk_total": ("cohort", "nth", "past", "since"),
    "router_users_failed_total": ("cohort", "nth", "past", "since"),
    "router_users_mean_log_time_total": ("cohort", "since", "sum"),
    "router_users_mean_reward_total": ("cohort", "since", "sum"),
    "router_users_new_total": ("cohort",),
    "router_users_reward_count": ("cohort", "since"),
    "router_users_reward_squares_total": ("cohort", "since"),
    "router_users_reward_sum": ("cohort", "since"),
    "router_users_slow_at_risk_total": ("cohort", "edge", "since"),
    "router_users_slow_total": ("cohort", "edge", "since"),
    "router_users_total": ("cohort",),
}
WORKER_SERIES: dict[str, tuple[str, ...]] = {
    "sluice_watch_lateness_seconds_bucket": (),
    "temporal_activity_execution_failed_total": ("activity_type", "failure_reason"),
    "temporal_activity_schedule_to_start_latency_seconds_bucket": (),
    "temporal_num_pollers": ("poller_type",),
    "temporal_sticky_cache_size": (),
    "temporal_worker_task_slots_available": ("worker_type",),
    "temporal_workflow_task_execution_failed_total": ("workflow_type", "failure_reason"),
    "temporal_workflow_task_replay_latency_seconds_bucket": ("workflow_type",),
    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket": (),
}
"""What we draw and alert on of a worker: the Temporal SDK's metrics and ours, with labels that we use.

``tests/integration/cli/test_operations.py`` holds it against a worker's own answer.
"""
HISTOGRAM_SUFFIX = "_bucket"
SCRAPE_LABELS = frozenset(
    [
        "job",
        "instance",
        "__name__",
        "namespace",
        "pod",
        "container",
        "service",
        "cluster",
        "node",
        "endpoint",
        "environment",
        "region",
        "zone",
    ]
)
"""Labels that a scrape configuration adds."""
