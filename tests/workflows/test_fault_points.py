"""Faults other than red flags, where they strike, how the rollout must end, and every percentage."""

import pytest

from activities.contract.errors import (
    ArchiveUnwritableError,
    LedgerRefusedError,
    LedgerUnreachableError,
    MetricsQueryError,
    MetricsUnreachableError,
)
from sluice.rollout.engine.state import Status
from tests.workflows.fault_points import (
    FaultPoint,
    PointResult,
    after_previous,
    fault_point,
    restore_health,
    run_selected_points,
    set_attributes,
    set_readings,
    when_live,
    when_status,
    when_waiting,
    with_blindness,
)
from workflows.activity_options import HISTORY_EVENTS_MAX

DEGRADED, PAUSED, HEALTHY = Status.DEGRADED, Status.PAUSED, Status.HEALTHY
AT_5, AT_25, AT_50, AT_100 = [0, 5], [0, 5, 25], [0, 5, 25, 50], [0, 5, 25, 50, 100]
FULL_ROLLOUT = [*AT_100, 0]
"""A healthy rollout's: the cleanup deletes the flag."""
NAN = float("nan")
SEVERAL_SERIES = MetricsQueryError("the query gives 3 series, not one")
PROMETHEUS_DOWN = set_attributes(
    "metrics", error=MetricsUnreachableError("Prometheus does not answer")
)
LEDGER_DOWN = set_attributes("ledger", broken=LedgerUnreachableError("Postgres does not answer"))
LEDGER_REFUSES = set_attributes("ledger", broken=LedgerRefusedError("Postgres refuses"))
P0_READINGS, P1_READINGS = set_readings(error_rate=0.2), set_readings(feedback_queue_size=600.0)
STALE_METRICS, FEW_SAMPLES = (
    set_attributes("metrics", age_seconds=900.0),
    set_attributes("metrics", samples=1.0),
)


POINTS = [
    # Readings that say nothing: never a raise, never a rollback; at the deadline a person is asked.
    fault_point("NaN", when_live("ramp-5", set_readings(error_rate=NAN)), expected_end=PAUSED, expected_percentages=AT_5),
    fault_point("no series", when_live("ramp-25", set_readings(latency_p99=None)), expected_end=PAUSED, expected_percentages=AT_25),
    fault_point("no series for a while", when_live("ramp-25", set_readings(latency_p99=None)), after_previous(restore_health(), hours=1), expected_end=HEALTHY, expected_percentages=FULL_ROLLOUT),
    fault_point("stale", when_live("ramp-50", STALE_METRICS), expected_end=PAUSED, expected_percentages=AT_50),
    fault_point("several series", when_live("ramp-25", set_readings(error_rate=SEVERAL_SERIES)), expected_end=PAUSED, expected_percentages=AT_25),
    fault_point("too few samples", when_live("ramp-5", FEW_SAMPLES), expected_end=PAUSED, expected_percentages=AT_5),
    fault_point("the learner's presence is unknown", when_live("dark", set_readings(learner_heartbeat_age=None)), expected_end=DEGRADED, expected_percentages=[0]),
    fault_point("a gate fails until the deadline, 5 %", when_live("ramp-5", set_readings(average_reward=0.45)), expected_end=DEGRADED, expected_percentages=[*AT_5, 0]),
    fault_point("a gate fails until the deadline, 25 %", when_live("ramp-25", set_readings(cache_hit_rate=0.6)), expected_end=DEGRADED, expected_percentages=[*AT_25, 5]),
    fault_point("a red flag is blind", when_live("ramp-25", set_readings(error_rate=NAN)), expected_end=DEGRADED, expected_percentages=[*AT_25, 0], plan=with_blindness),
    # Servers that are down.
    fault_point("Prometheus is down", when_live("ramp-50", PROMETHEUS_DOWN), expected_end=PAUSED, expected_percentages=AT_50),
    fault_point("Prometheus is down for a while", when_live("ramp-50", PROMETHEUS_DOWN), after_previous(restore_health(), hours=1), expected_end=HEALTHY, expected_percentages=FULL_ROLLOUT),
    fault_point("Prometheus is down, then it burns", when_live("ramp-50", PROMETHEUS_DOWN), after_previous(restore_health(), P0_READINGS, hours=1), expected_end=DEGRADED, expected_percentages=[*AT_50, 0]),
    fault_point("the ledger is down", when_live("ramp-25", LEDGER_DOWN), expected_end=PAUSED, expected_percentages=AT_25),
    fault_point("the ledger refuses", when_live("ramp-5", LEDGER_REFUSES), expected_end=PAUSED, expected_percentages=AT_5),
    fault_point("the ledger is down and it burns", when_live("ramp-5", LEDGER_DOWN, P0_READINGS), expected_end=DEGRADED, expected_percentages=[*AT_5, 0]),
    fault_point("the post-mortem can't be written", when_live("ramp-100", set_attributes("case", reports_broken=ArchiveUnwritableError("disk full"))), expected_end=HEALTHY, expected_percentages=FULL_ROLLOUT),
    # Approvals, pauses, deadlines.
    fault_point("nobody approves: hold", expected_end=PAUSED, expected_percentages=[0], unattended=True),
    fault_point("it burns while 25 % waits", when_live("ramp-5", set_attributes("case", unattended=True)), when_waiting("ramp-25", P0_READINGS), expected_end=DEGRADED, expected_percentages=[*AT_5, 0]),
    fault_point("P1, then P0", when_live("ramp-25", P1_READINGS), when_status(PAUSED, P0_READINGS), expected_end=DEGRADED, expected_percentages=[*AT_25, 0]),
]  # fmt: skip


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> dict[str, PointResult]:
    return run_selected_points(request, "test_a_fault_ends_as_it_must", POINTS)


@pytest.mark.parametrize("one", POINTS, ids=str)
def test_a_fault_ends_as_it_must(one: FaultPoint, results: dict[str, PointResult]) -> None:
    became = results[one.fault]
    assert (became.end, became.percentages, became.actions_left) == (
        one.expected_end,
        one.expected_percentages,
        0,
    )


def test_a_healthy_rollouts_histories_are_small(results: dict[str, PointResult]) -> None:
    """Temporal warns at 10,240 events and 10 MB; a new run begins after 400 events, however long it takes."""
    healthy = [one for one in results.values() if one.end == HEALTHY]
    if not healthy:
        pytest.skip("no healthy point was selected")
    for one in healthy:
        assert max(events for events, _ in one.history_sizes) < HISTORY_EVENTS_MAX + 100
        assert max(size for _, size in one.history_sizes) < 2_000_000
