"""Comparison of rehearsal results with the plan's budget."""

from collections.abc import Iterator, Sequence

from sluice.rehearsal.results.monte_carlo import MonteCarloSummary
from sluice.rehearsal.results.result import RehearsalResult
from sluice.rehearsal.traffic.scenario import HEALTHY_SCENARIO
from sluice.rollout.plan.schema import RehearsalBudget
from sluice.rollout.units import format_duration


def violations(
    budget: RehearsalBudget,
    results: Sequence[RehearsalResult],
    summaries: Sequence[MonteCarloSummary],
) -> Iterator[str]:
    """Yield one sentence for each result beyond the budget."""
    for result in results:
        yield from _result_violations(budget, result)
    for summary in summaries:
        rate_max = budget.false_rollback_max
        if (
            summary.scenario == HEALTHY_SCENARIO
            and rate_max is not None
            and summary.false_rollback_rate > rate_max
        ):
            low, high = summary.false_rollback_interval
            yield (
                f"{summary.false_rollbacks} of {summary.runs} healthy rollouts were rolled back: "
                f"{summary.false_rollback_rate:.1%} ({low:.1%} to {high:.1%}), the budget is {rate_max:.1%}"
            )


def _result_violations(budget: RehearsalBudget, result: RehearsalResult) -> Iterator[str]:
    if result.scenario == HEALTHY_SCENARIO and budget.false_rollback_max is not None:
        if result.is_false_alarm:
            yield f"the healthy rollout was rolled back in {result.step}"
        return
    delay_max = budget.detection_delay_max.get(result.scenario)
    if delay_max is None:
        return
    if result.detection_delay is None:
        yield f"{result.scenario} was never rolled back, the budget is {format_duration(delay_max)}"
    elif result.detection_delay > delay_max:
        took = format_duration(result.detection_delay)
        yield f"{result.scenario} took {took}, the budget is {format_duration(delay_max)}"
