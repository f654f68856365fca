"""Rehearsed users are counted as a router counts them: each once until the percentage changes."""

from itertools import pairwise

import numpy as np

from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.traffic.fault_schedule import FaultSchedule, ScheduledFault
from sluice.rehearsal.traffic.first_events import SLOW_EDGES
from sluice.rehearsal.traffic.scenario import FaultKind, ScenarioFault, TrafficModel
from sluice.rehearsal.traffic.synthetic_metrics import TrafficGenerator
from sluice.rehearsal.traffic.traffic_spec import RouterState, TrafficSpec

USERS, LEAD, TICK_COUNT = 400, 120, 10
WORLD = TrafficModel(users=USERS, queries_per_second=0.5, error_rate=0.01)


def counters(before: float, now: float, trouble: FaultSchedule | None = None) -> dict[str, Floats]:
    """``name cohort edge`` → the counter at each minute; the percentage changes after two hours."""
    first, then = (RouterState(p, flags_on=True, learning_on=True) for p in (before, now))
    scene = TrafficSpec(WORLD, first, then, LEAD, 60.0, 0.0, 0.0, trouble or FaultSchedule(()), 3)
    _, chunk, _ = TrafficGenerator(scene, 0.0).next_chunk(TICK_COUNT)
    found = {}
    for key, values in chunk.items():
        labels = dict(key)
        if labels["__name__"].startswith("router_users"):
            name = labels["__name__"].removeprefix("router_users_")
            found[f"{name} {labels['cohort']} {labels.get('edge', '')}".strip()] = values
    return found


def test_nobody_is_counted_before_the_flag_splits_users() -> None:
    found = counters(0, 25)
    assert len(found) == 2 * (5 + len(SLOW_EDGES))
    assert not any(values[:LEAD].any() for values in found.values())
    for cohort, part in (("treatment", 0.25), ("control", 0.75)):
        seen = found[f"total {cohort}"]
        assert np.all(np.diff(seen) >= 0)
        assert 0.8 * part * USERS < seen[-1] <= part * USERS
        assert np.all(found[f"failed_total {cohort}"] <= seen)
        slow = [found[f"slow_total {cohort} {edge:g}"] for edge in SLOW_EDGES]
        assert all(np.all(later <= earlier) for earlier, later in pairwise(slow))
        rated, total, squares = (
            found[f"reward_{what} {cohort}"][-1] for what in ("count", "sum", "squares_total")
        )
        assert 0 < total**2 / rated < squares < total < rated <= seen[-1]


def test_everybody_counts_again_when_the_percentage_changes() -> None:
    seen = counters(25, 25)
    again = counters(5, 25)
    both = [
        sum(one[f"total {cohort}"][-1] for cohort in ("treatment", "control"))
        for one in (seen, again)
    ]
    assert both[1] > 1.3 * both[0]


def test_a_fault_reaches_the_treated_from_the_tick_at_which_it_begins() -> None:
    begins = LEAD + 90
    fault = ScenarioFault.model_validate(
        {"kind": FaultKind.ERRORS, "percentage": 25, "after": "90m", "size": 0.5}
    )
    sound = counters(0, 25)["failed_total treatment"]
    harmed = counters(0, 25, FaultSchedule((ScheduledFault(fault, begins, None, 1),)))[
        "failed_total treatment"
    ]
    assert np.array_equal(sound[:begins], harmed[:begins])
    assert harmed[-1] > sound[-1] + 20
