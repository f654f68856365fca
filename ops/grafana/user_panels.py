"""Panels of the statistical gates' data: each user once per change of the percentage."""

from ops.grafana.panels import Panel, increase

USER_PANELS = (
    Panel(
        "Users failed for the first time",
        "short",
        (
            ("{{cohort}}, failure {{nth}}", increase("router_users_failed_total", "cohort, nth")),
            (
                "{{cohort}}, requests at risk of {{nth}}",
                increase("router_users_failed_at_risk_total", "cohort, nth"),
            ),
        ),
        description="First requests of each user since the percentage changed: error evidence.",
    ),
    Panel(
        "Users slow for the first time",
        "short",
        (
            ("{{cohort}} over {{edge}} s", increase("router_users_slow_total", "cohort, edge")),
            (
                "{{cohort}}, answers at risk of {{edge}} s",
                increase("router_users_slow_at_risk_total", "cohort, edge"),
            ),
        ),
        description="Each user once per edge, uncached answers: latency tail evidence.",
    ),
    Panel(
        "Users' mean log milliseconds, uncached answers",
        "short",
        (
            (
                "{{cohort}}",
                f"{increase('router_users_log_time_sum', 'cohort')}"
                f" / {increase('router_users_log_time_count', 'cohort')}",
            ),
            (
                "{{cohort}} squared",
                f"{increase('router_users_log_time_squares_total', 'cohort')}"
                f" / {increase('router_users_log_time_count', 'cohort')}",
            ),
        ),
        description="0.1 more is a tenth slower: what latency evidence rests on.",
    ),
    Panel(
        "Users' first reward",
        "short",
        (
            (
                "{{cohort}}",
                f"{increase('router_users_reward_sum', 'cohort')}"
                f" / {increase('router_users_reward_count', 'cohort')}",
            ),
            (
                "{{cohort}} squared",
                f"{increase('router_users_reward_squares_total', 'cohort')}"
                f" / {increase('router_users_reward_count', 'cohort')}",
            ),
        ),
    ),
    Panel(
        "Users counted",
        "short",
        (
            ("{{cohort}}", increase("router_users_total", "cohort")),
            ("{{cohort}}, new", increase("router_users_new_total", "cohort")),
            ("not counted: {{reason}}", increase("router_users_dropped_total", "reason")),
        ),
        description="The cohorts' sizes must be as the percentage says.",
    ),
)
