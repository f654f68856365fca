"""The scrape interval of a rehearsal follows the shortest window that decides something."""

from datetime import timedelta

from sluice.rehearsal.ticks import tick_seconds
from sluice.rollout.plan.schema import RolloutPlan
from tests.phase4_plan import PHASE4


def _with_red_flag(**changes: object) -> RolloutPlan:
    """Return the plan with changes of the last step's first red flag."""
    *earlier, last = PHASE4.steps
    flag = last.red_flags[0].model_copy(update=changes)
    step = last.model_copy(update={"red_flags": (flag, *last.red_flags[1:])})
    return PHASE4.model_copy(update={"steps": (*earlier, step)})


def test_a_short_window_shortens_the_tick_unless_it_is_a_dry_run() -> None:
    """Sixty times as many samples are recorded for a window of seconds, which nothing may need."""
    window = timedelta(seconds=10)
    assert tick_seconds(_with_red_flag(window=window)) == 2
    assert tick_seconds(_with_red_flag(window=window, dry_run=True)) == tick_seconds(PHASE4)
