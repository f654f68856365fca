"""A plan's budget against what its rehearsals showed."""

from collections.abc import Iterator, Sequence

from rehearsal.outcome import Outcome
from rehearsal.study import Study
from rollout.plan import Budget
from rollout.quantity import format_duration

HEALTHY = "healthy"


def exceeded(
    budget: Budget, outcomes: Sequence[Outcome], studies: Sequence[Study]
) -> Iterator[str]:
    """One sentence for everything that is worse than the budget allows."""
    for outcome in outcomes:
        yield from _too_late(budget, outcome)
    for study in studies:
        most = budget.false_rollback_max
        if study.scenario == HEALTHY and most is not None and study.false_rollback_rate > most:
            low, high = study.false_rollback_interval
            yield (
                f"{study.false_rollbacks} of {study.runs} healthy rollouts were rolled back: "
                f"{study.false_rollback_rate:.1%} ({low:.1%} to {high:.1%}), the budget is {most:.1%}"
            )


def _too_late(budget: Budget, outcome: Outcome) -> Iterator[str]:
    if outcome.scenario == HEALTHY and budget.false_rollback_max is not None:
        if outcome.false_alarm:
            yield f"the healthy rollout was rolled back in {outcome.step}"
        return
    most = budget.detection_delay_max.get(outcome.scenario)
    if most is None:
        return
    if outcome.delay is None:
        yield f"{outcome.scenario} was never rolled back, the budget is {format_duration(most)}"
    elif outcome.delay > most:
        took = format_duration(outcome.delay)
        yield f"{outcome.scenario} took {took}, the budget is {format_duration(most)}"
