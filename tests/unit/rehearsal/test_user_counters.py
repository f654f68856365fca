"""Rehearsed users are counted as a router counts them: with their first requests in each epoch."""

import numpy as np

from sluice.flags.service import user_means, user_record
from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.traffic import period_records
from sluice.rehearsal.traffic.fault_schedule import FaultSchedule, ScheduledFault
from sluice.rehearsal.traffic.period_records import HOURLY_REQUESTS_COUNTED_MAX, SLOW_EDGES
from sluice.rehearsal.traffic.scenario import FaultKind, ScenarioFault, TrafficModel
from sluice.rehearsal.traffic.synthetic_metrics import TrafficGenerator
from sluice.rehearsal.traffic.traffic_spec import RouterState, TrafficSpec
from sluice.rollout.analysis.stats.user_means import spread_of_users

USERS, LEAD, TICK_COUNT = 400, 120, 10
WORLD = TrafficModel(users=USERS, queries_per_second=1, error_rate=0.02, cache_hit_rate=0.5)


def counters(before: float, now: float, trouble: FaultSchedule | None = None) -> dict[str, Floats]:
    """`name cohort stratum` → the counter at each minute; the percentage changes after two hours."""
    first, then = (RouterState(p, flags_on=True, learning_on=True) for p in (before, now))
    scene = TrafficSpec(WORLD, first, then, LEAD, 60.0, 0.0, 0.0, trouble or FaultSchedule(()), 3)
    _, chunk, _ = TrafficGenerator(scene, 0.0).next_chunk(TICK_COUNT)
    found = {}
    for key, values in chunk.items():
        labels = dict(key)
        if labels.get("past", "usual") != "usual":  # nothing is known of users before a rehearsal
            assert labels["past"] in user_record.FAILURE_GROUPS
            assert not values.any()
        elif labels["__name__"].startswith("router_users"):
            name = labels["__name__"].removeprefix("router_users_")
            stratum = labels.get("edge", labels.get("nth", labels.get("sum", "")))
            since = labels.get("since", "step")
            place = "" if since == "step" else f"{since} "
            found[f"{place}{name} {labels.get('cohort', '')} {stratum}".strip()] = values
    return found


def test_the_router_counts_as_many_requests_of_a_user() -> None:
    assert period_records.REQUESTS_COUNTED_MAX == user_record.REQUESTS_COUNTED_MAX
    assert period_records.HOURLY_REQUESTS_COUNTED_MAX == user_record.HOURLY_REQUESTS_COUNTED_MAX
    assert tuple(period_records.FAILURE_STRATA) == user_record.USER_FAILURE_STRATA
    for kind, rule in (("mean_log_time", user_means.LOG_TIME), ("mean_reward", user_means.REWARD)):
        expected = (rule.within_to_between, rule.offset, rule.values_max)
        assert period_records.MEAN_RULES[kind] == expected
    assert period_records.MEAN_SUMS == user_means.SUMS
    assert SLOW_EDGES == user_record.USER_EDGES_SECONDS


def test_nobody_is_counted_before_the_flag_splits_users() -> None:
    found = counters(0, 25)
    assert not any(values[:LEAD].any() for values in found.values())
    for cohort, part in (("treatment", 0.25), ("control", 0.75)):
        seen = found[f"total {cohort}"]
        assert np.all(np.diff(seen) >= 0)
        assert 0.8 * part * USERS < seen[-1] <= part * USERS
        assert np.array_equal(found[f"new_total {cohort}"], seen)
        at_risk = found[f"failed_at_risk_total {cohort} 1"][-1]
        assert seen[-1] < at_risk <= user_record.REQUESTS_COUNTED_MAX * seen[-1]
        assert found[f"failed_total {cohort} 2"][-1] <= found[f"failed_total {cohort} 1"][-1]


def test_values_of_users_have_the_mean_of_the_traffic() -> None:
    found = counters(0, 25)
    count, total, squares = (
        found[f"reward_{moment} control"][-1] for moment in ("count", "sum", "squares_total")
    )
    spread = np.sqrt(squares / count - (total / count) ** 2)
    assert abs(total / count - 0.6) < 4 * spread / np.sqrt(count) + 0.02
    for kind, expected, rule in (
        ("mean_log_time", np.log(1000 * WORLD.latency_p50), user_means.LOG_TIME),
        ("mean_reward", 0.6, user_means.REWARD),
    ):
        sums = [found[f"{kind}_total control {name}"] for name in user_means.SUMS]
        assert all(np.all(np.diff(one) >= 0) for one in sums), "counters do not fall"
        last = [np.array(one[-1]) for one in sums]
        spread = np.sqrt(spread_of_users(last)) / last[0]
        assert abs(last[1] / last[0] - rule.offset - expected) < 4 * spread + 0.02, kind


def test_failures_come_as_often_as_the_traffic_has_errors() -> None:
    found = counters(0, 25)
    hits, at_risk = (
        found[f"{name} control 1"][-1] for name in ("failed_total", "failed_at_risk_total")
    )
    assert 0.7 * WORLD.error_rate < hits / at_risk < 1.2 * WORLD.error_rate


def test_every_user_counts_again_when_the_percentage_changes() -> None:
    seen, again = (
        sum(one[f"total {cohort}"][-1] for cohort in ("treatment", "control"))
        for one in (counters(25, 25), counters(5, 25))
    )
    assert again > 1.3 * seen


def test_few_users_of_a_later_step_are_new() -> None:
    found = counters(5, 25)
    assert 0 < found["new_total control"][-1] < 0.5 * found["total control"][-1]


def test_a_fault_reaches_the_treated_from_the_tick_at_which_it_begins() -> None:
    begins = LEAD + 30
    fault = ScenarioFault.model_validate(
        {"kind": FaultKind.ERRORS, "percentage": 25, "after": "30m", "size": 0.5}
    )
    sound = counters(0, 25)["failed_total treatment 1"]
    harmed = counters(0, 25, FaultSchedule((ScheduledFault(fault, begins, None, 1),)))[
        "failed_total treatment 1"
    ]
    assert np.array_equal(sound[:begins], harmed[:begins])
    assert harmed[-1] > sound[-1] + 20


def test_the_first_requests_of_each_hour_count_again() -> None:
    """A fault that begins late reaches users whose first requests of the step were long ago."""
    found = counters(0, 25)
    at_risk = found["hour failed_at_risk_total control 1"]
    assert at_risk[-1] > 2 * found["failed_at_risk_total control 1"][-1] / 3
    hourly = np.diff(at_risk[LEAD::60])
    assert np.all(hourly <= HOURLY_REQUESTS_COUNTED_MAX * USERS)
    assert hourly[-1] > 0.5 * hourly[0]
