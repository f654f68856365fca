"""Panels of the statistical gates' data: each user once per change of the percentage."""

from ops.grafana.panels import Panel, increase

USER_PANELS = (
    Panel(
        "Users failed for the first time",
        "short",
        (
            (
                "{{cohort}}, {{since}}, failure {{nth}}",
                increase("router_users_failed_total", "cohort, since, nth"),
            ),
            (
                "{{cohort}}, {{since}}, requests at risk of {{nth}}",
                increase("router_users_failed_at_risk_total", "cohort, since, nth"),
            ),
        ),
        description="First requests of each user since the percentage changed, and in each hour: error evidence.",
    ),
    Panel(
        "Users slow for the first time",
        "short",
        (
            (
                "{{cohort}}, {{since}}, over {{edge}} s",
                increase("router_users_slow_total", "cohort, since, edge"),
            ),
            (
                "{{cohort}}, {{since}}, answers at risk of {{edge}} s",
                increase("router_users_slow_at_risk_total", "cohort, since, edge"),
            ),
        ),
        description="Each user once per edge, uncached answers: latency tail evidence.",
    ),
    Panel(
        "Users' mean log milliseconds, uncached answers",
        "short",
        (
            (
                "{{cohort}}, {{since}}",
                "sum by (cohort, since) "
                '(increase(router_users_mean_log_time_total{sum="value"}[1h])) '
                "/ sum by (cohort, since) "
                '(increase(router_users_mean_log_time_total{sum="weight"}[1h])) - 100',
            ),
        ),
        description="0.1 more is a tenth slower: what latency evidence rests on.",
    ),
    Panel(
        "Users' mean reward",
        "short",
        (
            (
                "{{cohort}}, {{since}}",
                "sum by (cohort, since) "
                '(increase(router_users_mean_reward_total{sum="value"}[1h])) '
                "/ sum by (cohort, since) "
                '(increase(router_users_mean_reward_total{sum="weight"}[1h])) - 4',
            ),
        ),
        description="All rewards of a user: what reward evidence rests on.",
    ),
    Panel(
        "Users' first reward",
        "short",
        (
            (
                "{{cohort}}, {{since}}",
                f"{increase('router_users_reward_sum', 'cohort, since')}"
                f" / {increase('router_users_reward_count', 'cohort, since')}",
            ),
            (
                "{{cohort}}, {{since}}, squared",
                f"{increase('router_users_reward_squares_total', 'cohort, since')}"
                f" / {increase('router_users_reward_count', 'cohort, since')}",
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
    Panel(
        "Users are counted since",
        "dateTimeAsIso",
        (("{{instance}}", "router_users_counted_since_timestamp_seconds * 1000"),),
        description="A change without a change of the percentage: Redis lost the users' records.",
    ),
)
