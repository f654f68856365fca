"""What the statistical gates see: each user once since the flag's percentage changed."""

from ops.grafana.panels import Panel, increase

USER_PANELS = (
    Panel(
        "Users failed for the first time",
        "short",
        (("{{cohort}}", increase("router_users_failed_total", "cohort")),),
        description="Each user once since the percentage changed: what error evidence rests on.",
    ),
    Panel(
        "Users slow for the first time",
        "short",
        (("{{cohort}} over {{edge}} s", increase("router_users_slow_total", "cohort, edge")),),
        description="Each user once per edge: what latency evidence rests on.",
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
            ("not counted: {{reason}}", increase("router_users_dropped_total", "reason")),
        ),
        description="The cohorts' sizes must be as the percentage says.",
    ),
)
