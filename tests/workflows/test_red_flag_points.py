"""Each red flag of the guide, at each stage that it guards: how the rollout ends, and every percentage.

P0 goes to 0 % at once. P1 pauses; nobody acts, so four hours later it goes to 0 %. P2 is noted: it
goes on, until a gate of a later step, or a line of its checklist, asks for the same. A step that has no
percentage of its own yet ends as Degraded just so, at the 0 % that it had.
"""

from collections.abc import Sequence

import pytest

from rollout.state import Status
from tests.workflows.fault_points import Deed, Played, Point, at, grows, play_wanted, point, reads

DEGRADED, PAUSED = Status.DEGRADED, Status.PAUSED
AT_5, AT_25, AT_50, AT_100 = [0, 5], [0, 5, 25], [0, 5, 25, 50], [0, 5, 25, 50, 100]
DELETED = [*AT_100, 0]
"""The cleanup deletes the flag: 0 % of a flag that nobody asks any more. Back means: a flag at 0 %."""

BURNING: dict[str, Deed] = {
    "latency_increase": reads(latency_p99=0.995),
    "redis_errors": reads(redis_errors=3.0),
    "flag_evaluation": reads(flag_evaluation_p99=0.008),
    "memory_leak": grows(memory=2e8),
    "learner_crashed": reads(learner_heartbeat_age=400.0),
    "error_rate_increase": reads(error_rate=0.02),
    "error_spike": reads(error_rate=0.2),
    "latency_spike": reads(latency_p99=2.0),
    "reward_collapse": reads(average_reward=0.3),
    "queue_overflow": reads(feedback_queue_size=600.0),
    "process_crashed": reads(processes_down=1.0),
    "complaints": reads(complaints=2.0),
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
    ("error_spike", "cleanup", DEGRADED, DELETED),
    ("latency_spike", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("latency_spike", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("latency_spike", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("latency_spike", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("latency_spike", "cleanup", DEGRADED, DELETED),
    ("reward_collapse", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("reward_collapse", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("reward_collapse", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("reward_collapse", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("reward_collapse", "cleanup", DEGRADED, DELETED),
    ("queue_overflow", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("queue_overflow", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("queue_overflow", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("queue_overflow", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("queue_overflow", "cleanup", DEGRADED, DELETED),
    ("process_crashed", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("process_crashed", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("process_crashed", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("process_crashed", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("process_crashed", "cleanup", DEGRADED, DELETED),
    ("memory_leak", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("memory_leak", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("memory_leak", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("memory_leak", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("memory_leak", "cleanup", DEGRADED, DELETED),
    ("learner_crashed", "ramp-5", DEGRADED, [*AT_5, 0]),
    ("learner_crashed", "ramp-25", DEGRADED, [*AT_25, 0]),
    ("learner_crashed", "ramp-50", DEGRADED, [*AT_50, 0]),
    ("learner_crashed", "ramp-100", DEGRADED, [*AT_100, 0]),
    ("learner_crashed", "cleanup", DEGRADED, DELETED),
    ("complaints", "ramp-5", DEGRADED, [*AT_25, 5]),
    ("complaints", "ramp-25", DEGRADED, [*AT_25, 5]),
    ("complaints", "ramp-50", DEGRADED, [*AT_100, 50]),
    ("complaints", "ramp-100", DEGRADED, [*AT_100, 50]),
    ("complaints", "cleanup", Status.HEALTHY, DELETED),
]


def fault(flag: str, step: str) -> str:
    return f"{flag} in {step}"


POINTS = [
    point(fault(flag, step), at(step, BURNING[flag]), ends=ends, trail=trail)
    for flag, step, ends, trail in TABLE
]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> dict[str, Played]:
    return play_wanted(request, "test_a_red_flag_ends_as_the_guide_says", POINTS)


@pytest.mark.parametrize("one", POINTS, ids=str)
def test_a_red_flag_ends_as_the_guide_says(one: Point, played: dict[str, Played]) -> None:
    became = played[one.fault]
    assert (became.end, became.trail) == (one.ends, one.trail)
    assert became.unfinished == 0


def test_no_red_flag_of_the_plan_is_left_out() -> None:
    """A red flag that is added to the plan needs its lines above."""
    plan = POINTS[0].quick()
    guarded = {(gate.name, step.name) for step in plan.steps for gate in step.red_flags}
    assert {(flag, step) for flag, step, _, _ in TABLE} == guarded
