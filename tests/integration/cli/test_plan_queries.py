"""Each query of a plan is asked of a real Prometheus before a start; a refusing Redis is found."""

import pytest
from redis.asyncio import Redis

from sluice.cli.clients.plan_queries import ask_each_query
from sluice.cli.clients.prometheus import PrometheusUnreachableError
from sluice.cli.context import Context
from sluice.cli.doctor.servers import redis_health
from sluice.flags.keys import FlagKeys
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.loader import parse_plan

pytestmark = pytest.mark.integration
PLAN = """name: p
flag: f
metrics:
  errors:
    query: QUERY
    unit: ratio
steps:
  - {name: one, title: One, stage: 1, interval: 1m, hold: 1h, deadline: 2h,
     gates: [{metric: errors, cohort: all, threshold: 1%, window: 5m}]}
"""


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sum(rate(nobody_exports_this_total[$window]))", "no series 'nobody_exports_this_total'"),
        ('label_replace(up, "", "", "", "")', "Prometheus refuses it"),
    ],
)
async def test_a_query_that_prometheus_can_never_answer_is_an_error(
    prometheus_url: str, query: str, words: str
) -> None:
    """A red flag on it would be on guard for four weeks and see nothing."""
    plan = parse_plan(PLAN.replace("QUERY", query))
    report = await ask_each_query(Context({"PROMETHEUS_URL": prometheus_url}), plan)
    assert any(
        words in why for place, why in report.errors if place == ("metrics", "errors", "query")
    )


async def test_a_series_that_a_router_exports_later_is_only_reported(prometheus_url: str) -> None:
    """A counter of complaints appears with the first complaint."""
    plan = parse_plan(PLAN.replace("QUERY", "sum(rate(router_complaints_total[$window]))"))
    report = await ask_each_query(Context({"PROMETHEUS_URL": prometheus_url}), plan)
    assert report.errors == ()


STATISTIC = """    statistic: {test: rate, events: 'EVENTS', units: 'up{cohort=~"$cohort"}'}
"""


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ('nobody_exports_this_total{cohort=~"$cohort"}', "no series 'nobody_exports_this_total'"),
        ('up{job="nowhere",cohort=~"$cohort"}', "no series that matches up{job="),
        ("up{", ""),
    ],
)
async def test_the_counters_of_a_statistic_are_asked_like_every_query(
    prometheus_url: str, events: str, words: str
) -> None:
    """A statistical gate on a counter that is not there weighs nothing for four weeks."""
    text = PLAN.replace("QUERY", "up").replace(
        "steps:", STATISTIC.replace("EVENTS", events) + "steps:"
    )
    context = Context({"PROMETHEUS_URL": prometheus_url})
    if not words:
        with pytest.raises(PlanError):
            parse_plan(text)
        return
    report = await ask_each_query(context, parse_plan(text))
    problems = [*report.errors, *report.missing]
    assert any(words in why for place, why in problems if place[-1] == "statistic"), problems


async def test_an_unreachable_prometheus_is_not_a_problem_of_the_plan(unused_tcp_port: int) -> None:
    context = Context({"PROMETHEUS_URL": f"http://127.0.0.1:{unused_tcp_port}"})
    with pytest.raises(PrometheusUnreachableError):
        await ask_each_query(context, parse_plan(PLAN.replace("QUERY", "up")))


async def test_doctor_finds_a_redis_that_answers_reads_and_refuses_writes(redis_url: str) -> None:
    """Every reader would turn off, and no kill could land."""
    redis = Redis.from_url(redis_url)
    try:
        assert [one.level for one in await redis_health(redis, FlagKeys("e"))] == ["good"]
        await redis.config_set("min-replicas-to-write", 1)
        (finding,) = await redis_health(redis, FlagKeys("e"))
        assert finding.level == "bad"
        assert "refuses writes" in finding.message
    finally:
        await redis.config_set("min-replicas-to-write", 0)
        await redis.aclose()


async def test_doctor_finds_a_redis_user_without_the_right_to_kill(redis_url: str) -> None:
    """The user may delete a key, and not run the script of a kill; a writer needs no delete."""
    redis = Redis.from_url(redis_url)
    for user, right in (("deletes", "+del"), ("writes", "+eval")):
        rights = ["-@all", "+@connection", "+info", "+get", right]
        await redis.acl_setuser(
            user, enabled=True, passwords="+pw", keys=["*"], channels=["*"], commands=rights
        )
    try:
        for user, level in (("deletes", "bad"), ("writes", "good")):
            limited = Redis.from_url(redis_url.replace("redis://", f"redis://{user}:pw@"))
            assert [one.level for one in await redis_health(limited, FlagKeys("e"))] == [level]
            await limited.aclose()
    finally:
        await redis.acl_deluser("deletes", "writes")
        await redis.aclose()


async def test_doctor_finds_a_redis_that_is_too_slow_for_a_lease(redis_url: str) -> None:
    """A kill still lands, but each process treats nobody meanwhile."""
    redis = Redis.from_url(redis_url)
    await redis.client_pause(900, all=False)
    (finding,) = await redis_health(redis, FlagKeys("e"))
    await redis.aclose()
    assert finding.level == "warn"
    assert "cannot renew its lease of 0.8 s" in finding.message
