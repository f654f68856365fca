"""Each red flag of the guide, at each stage that it guards: how the rollout ends, and every percentage.

P0 goes to 0 % at once. P1 pauses; nobody acts, so four hours later it goes to 0 %. P2 is noted: it
goes on, until a gate of a later step, or a line of its checklist, asks for the same. A step that has no
percentage of its own yet ends as Degraded just so, at the 0 % that it had.
"""

from collections.abc import Sequence

import pytest

from sluice.rollout.engine.state import Status
from tests.workflows.fault_points import (
    CaseMutation,
    FaultPoint,
    PointResult,
    fault_point,
    run_selected_points,
    set_readings,
    set_slopes,
    when_live,
)

DEGRADED, PAUSED = Status.DEGRADED, Status.PAUSED
AT_5, AT_25, AT_50, AT_100 = [0, 5], [0, 5, 25], [0, 5, 25, 50], [0, 5, 25, 50, 100]
FULL_ROLLOUT = [*AT_100, 0]
"""The cleanup deletes the flag: 0 % of a flag that nobody asks any more. Back means: a flag at 0 %."""

RED_FLAG_TRIGGERS: dict[str, CaseMutation] = {
    "latency_increase": set_readings(latency_p99=0.995),
    "redis_errors": set_readings(redis_errors=3.0),
    "flag_evaluation": set_readings(flag_evaluation_p99=0.008),
    "memory_leak": set_slopes(memory=2e8),
    "learner_crashed": set_readings(learner_heartbeat_age=400.0),
    "error_rate_increase": set_readings(error_rate=0.02),
    "error_spike": set_readings(error_rate=0.2),
    "latency_spike": set_readings(latency_p99=2.0),
    "reward_collapse": set_readings(average_reward=0.3),
    "queue_overflow": set_readings(feedback_queue_size=600.0),
    "process_crashed": set_readings(processes_down=1.0),
    "restarts": set_readings(restarts=6.0),
    "complaints": set_readings(complaints=2.0),
}
TABLE: list[tuple[str, str, Status, Sequence[float]]] = [
    ("latency_increase", "flag-infrastructure", DEGRADED, [0]),
    ("redis_errors", "flag-infrastructure", DEGRADED, [0]),
    ("flag_evaluation", "flag-infrastructure", DEGRADED, [0]),
    ("memory_leak", "dark", DEGRADED, [0]),
    ("learner_crashed", "dark", DEGRADED, [0]),
    ("error_rate_increase", "dark", DEGRADED, [0]),
    ("error_spike", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("error_spike", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("error_spike", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("error_spike", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("error_spike", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("latency_spike", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("latency_spike", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("latency_spike", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("latency_spike", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("latency_spike", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("reward_collapse", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("reward_collapse", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("reward_collapse", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("reward_collapse", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("reward_collapse", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("queue_overflow", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("queue_overflow", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("queue_overflow", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("queue_overflow", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("queue_overflow", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("process_crashed", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("process_crashed", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("process_crashed", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("process_crashed", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("process_crashed", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("memory_leak", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("memory_leak", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("memory_leak", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("memory_leak", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("memory_leak", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("learner_crashed", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("learner_crashed", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("learner_crashed", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("learner_crashed", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("learner_crashed", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("restarts", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("restarts", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("restarts", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("restarts", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("restarts", "cleanup", DEGRADED, FULL_ROLLOUT),
    ("complaints", "ramp-5", DEGRADED, [*AT_25, 5]),
    ("complaints", "ramp-25", DEGRADED, [*AT_25, 5]),
    ("complaints", "ramp-50", DEGRADED, [*AT_100, 50]),
    ("complaints", "ramp-100", DEGRADED, [*AT_100, 50]),
    ("complaints", "cleanup", Status.HEALTHY, FULL_ROLLOUT),
]


def point_name(flag: str, step: str) -> str:
    return f"{flag} in {step}"


POINTS = [
    fault_point(
        point_name(flag, step),
        when_live(step, RED_FLAG_TRIGGERS[flag]),
        expected_end=ends,
        expected_percentages=trail,
    )
    for flag, step, ends, trail in TABLE
]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> dict[str, PointResult]:
    return run_selected_points(request, "test_a_red_flag_ends_as_the_guide_says", POINTS)


@pytest.mark.parametrize("one", POINTS, ids=str)
def test_a_red_flag_ends_as_the_guide_says(
    one: FaultPoint, results: dict[str, PointResult]
) -> None:
    became = results[one.fault]
    assert (became.end, became.percentages) == (one.expected_end, one.expected_percentages)
    assert became.actions_left == 0


def test_no_red_flag_of_the_plan_is_left_out() -> None:
    """A red flag that is added to the plan needs its lines above."""
    plan = POINTS[0].plan_in_hours()
    guarded = {(gate.name, step.name) for step in plan.steps for gate in step.red_flags}
    assert {(flag, step) for flag, step, _, _ in TABLE} == guarded
