"""Faults other than red flags, where they strike, how the rollout must end, and every percentage."""

import pytest

from activities.errors import (
    ArchiveUnwritableError,
    LedgerRefusedError,
    LedgerUnreachableError,
    MetricsQueryError,
    MetricsUnreachableError,
)
from rollout.state import Status
from tests.workflows.fault_points import (
    Played,
    Point,
    at,
    before,
    once,
    play_wanted,
    point,
    reads,
    sets,
    then,
    well,
)
from workflows.policies import HISTORY_EVENTS_MAX

DEGRADED, PAUSED, HEALTHY = Status.DEGRADED, Status.PAUSED, Status.HEALTHY
AT_5, AT_25, AT_50, AT_100 = [0, 5], [0, 5, 25], [0, 5, 25, 50], [0, 5, 25, 50, 100]
ALL = [*AT_100, 0]
"""A healthy rollout's: the cleanup deletes the flag."""
NAN = float("nan")
SEVERAL = MetricsQueryError("the query gives 3 series, not one")
PROMETHEUS_DOWN = sets("metrics", down=MetricsUnreachableError("Prometheus does not answer"))
LEDGER_DOWN = sets("ledger", broken=LedgerUnreachableError("Postgres does not answer"))
LEDGER_REFUSES = sets("ledger", broken=LedgerRefusedError("Postgres refuses"))
P0, P1 = reads(error_rate=0.2), reads(feedback_queue_size=600.0)
STALE, FEW = sets("metrics", age_seconds=900.0), sets("metrics", samples=1.0)


POINTS = [
    # Readings that say nothing: never a raise, never a rollback; at the deadline a person is asked.
    point("NaN", at("ramp-5", reads(error_rate=NAN)), ends=PAUSED, trail=AT_5),
    point("no series", at("ramp-25", reads(latency_p99=None)), ends=PAUSED, trail=AT_25),
    point("no series for a while", at("ramp-25", reads(latency_p99=None)), then(well(), hours=1), ends=HEALTHY, trail=ALL),
    point("stale", at("ramp-50", STALE), ends=PAUSED, trail=AT_50),
    point("several series", at("ramp-25", reads(error_rate=SEVERAL)), ends=PAUSED, trail=AT_25),
    point("too few samples", at("ramp-5", FEW), ends=PAUSED, trail=AT_5),
    point("the learner's presence is unknown", at("dark", reads(learner_heartbeat_age=None)), ends=DEGRADED, trail=[0]),
    point("a gate fails until the deadline, 5 %", at("ramp-5", reads(average_reward=0.45)), ends=DEGRADED, trail=[*AT_5, 0]),
    point("a gate fails until the deadline, 25 %", at("ramp-25", reads(cache_hit_rate=0.6)), ends=DEGRADED, trail=[*AT_25, 5]),
    # Servers that are down.
    point("Prometheus is down", at("ramp-50", PROMETHEUS_DOWN), ends=PAUSED, trail=AT_50),
    point("Prometheus is down for a while", at("ramp-50", PROMETHEUS_DOWN), then(well(), hours=1), ends=HEALTHY, trail=ALL),
    point("Prometheus is down, then it burns", at("ramp-50", PROMETHEUS_DOWN), then(well(), P0, hours=1), ends=DEGRADED, trail=[*AT_50, 0]),
    point("the ledger is down", at("ramp-25", LEDGER_DOWN), ends=PAUSED, trail=AT_25),
    point("the ledger refuses", at("ramp-5", LEDGER_REFUSES), ends=PAUSED, trail=AT_5),
    point("the ledger is down and it burns", at("ramp-5", LEDGER_DOWN, P0), ends=DEGRADED, trail=[*AT_5, 0]),
    point("the post-mortem can't be written", at("ramp-100", sets("scene", reports_broken=ArchiveUnwritableError("disk full"))), ends=HEALTHY, trail=ALL),
    # Approvals, pauses, deadlines.
    point("nobody approves: hold", ends=PAUSED, trail=[0], absent=True),
    point("it burns while 25 % waits", at("ramp-5", sets("scene", absent=True)), before("ramp-25", P0), ends=DEGRADED, trail=[*AT_5, 0]),
    point("P1, then P0", at("ramp-25", P1), once(PAUSED, P0), ends=DEGRADED, trail=[*AT_25, 0]),
]  # fmt: skip


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> dict[str, Played]:
    return play_wanted(request, "test_a_fault_ends_as_it_must", POINTS)


@pytest.mark.parametrize("one", POINTS, ids=str)
def test_a_fault_ends_as_it_must(one: Point, played: dict[str, Played]) -> None:
    became = played[one.fault]
    assert (became.end, became.trail, became.unfinished) == (one.ends, one.trail, 0)


def test_a_healthy_rollouts_histories_are_small(played: dict[str, Played]) -> None:
    """Temporal warns at 10,240 events and 10 MB; a new run begins after 400 events, however long it takes."""
    healthy = [one for one in played.values() if one.end == HEALTHY]
    if not healthy:
        pytest.skip("this session played none")
    for one in healthy:
        assert max(events for events, _ in one.runs) < HISTORY_EVENTS_MAX + 100
        assert max(size for _, size in one.runs) < 2_000_000
