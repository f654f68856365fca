"""Running rehearsals: the servers they share, one rehearsal or many, and how far they got."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from rehearsal.course import Course, tick_seconds
from rehearsal.errors import NotRehearsableError
from rehearsal.outcome import Outcome, outcome_of
from rehearsal.prometheus import own_prometheus
from rehearsal.rehearse import Played, Stage
from rehearsal.scenario import Scenario
from rehearsal.skipping import quiet, time_skipping
from rehearsal.tape import Studio
from rehearsal.traffic import series_names
from rehearsal.walk import Walk
from rollout.gate import expression
from rollout.plan import RolloutPlan
from rollout.promql import names

BEGIN = datetime(2024, 1, 1, 8, tzinfo=UTC)
"""A Monday at eight: where walks begin. Their times never meet the calendar's."""
RUNS_A_SERVER = 4
Progress = Callable[[int], None]


@asynccontextmanager
async def stage(plan: RolloutPlan) -> AsyncIterator[Stage]:
    """Start a Prometheus and a time-skipping server for rehearsals of ``plan``.

    Raises:
        MissingProgramError: one of them isn't installed; the message says how to get it.
        NotRehearsableError, PrometheusFailedError: see ``rehearsal.errors``.
    """
    rehearsable(plan)
    with own_prometheus(tick_seconds(plan)) as ranges:
        async with time_skipping(quiet()) as env:
            yield Stage(env, Studio(ranges))


async def rehearse(plan: RolloutPlan, scenario: Scenario, seed: int) -> Played:
    """One rehearsal by the workflow, servers included."""
    placed(plan, scenario)
    async with stage(plan) as shared:
        return await shared.rehearse(plan, scenario, seed)


async def walks(
    plan: RolloutPlan, scenario: Scenario, seeds: Sequence[int], progress: Progress
) -> list[Outcome]:
    """One walk of the pure core for each seed; ``progress`` hears how many are done."""
    rehearsable(plan)
    placed(plan, scenario)
    done: list[Outcome] = []
    for start in range(0, len(seeds), RUNS_A_SERVER):
        with own_prometheus(tick_seconds(plan)) as ranges:
            studio = Studio(ranges)  # one a server: its tapes' times never meet
            for seed in seeds[start : start + RUNS_A_SERVER]:
                course = Course(plan, scenario, seed, studio, BEGIN)
                walk = Walk(course)
                state = await walk.to_the_end()
                done.append(outcome_of(state, course, walk.now, "the pure core"))
                progress(len(done))
    return done


def placed(plan: RolloutPlan, scenario: Scenario) -> None:
    """Raise NotRehearsableError when a fault has no step to begin in."""
    for fault in scenario.faults:
        if fault.step_in(plan) is None:
            where = fault.step or f"{fault.percentage:g} % or more"
            steps = ", ".join(step.name for step in plan.steps)
            raise NotRehearsableError(
                f"scenario {scenario.name} begins its {fault.kind} fault in {where}; "
                f"plan {plan.name} has {steps}"
            )


def rehearsable(plan: RolloutPlan) -> None:
    """Raise NotRehearsableError when gates ask for series that a rehearsal does not record."""
    known, missing = series_names(), set[str]()
    for _, gate in plan.rules():
        promql = expression(plan.metrics[gate.metric].query, gate, gate.cohort)
        missing |= {one.metric for one in names(promql).selectors} - known
    if missing:
        raise NotRehearsableError(
            f"plan {plan.name} asks for series that a rehearsal does not record: "
            f"{', '.join(sorted(missing))}; backtest it on your own metrics instead"
        )
