"""Running rehearsals: the servers they share, one rehearsal or many, and how far they got."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rehearsal.budget import HEALTHY
from rehearsal.errors import NotRehearsableError
from rehearsal.outcome import Outcome, outcome_of
from rehearsal.pace import tick_seconds
from rehearsal.prometheus import own_prometheus
from rehearsal.recording import recording
from rehearsal.scenario import Scenario, load_scenario
from rehearsal.traffic import series_names
from rollout.gate import expression
from rollout.plan import RolloutPlan
from rollout.promql import names

if TYPE_CHECKING:
    from rehearsal.rehearse import Played, Stage

BEGIN = datetime(2024, 1, 1, 8, tzinfo=UTC)
"""A Monday at eight: where walks begin. Their times never meet the calendar's."""
RUNS_A_SERVER = 4
Progress = Callable[[int], None]


@asynccontextmanager
async def stage(
    plan: RolloutPlan, scenario: Scenario | None = None, seed: int = 1
) -> AsyncIterator["Stage"]:
    """Start what rehearsals of ``plan`` need: Prometheus, who records, and a time-skipping server.

    ``scenario`` and ``seed``: of the first one, which is recorded ahead from the start on.

    Raises:
        MissingProgramError: one of them isn't installed; the message says how to get it.
        NotRehearsableError, PrometheusFailedError: see ``rehearsal.errors``.
    """
    rehearsable(plan)
    first = scenario or load_scenario(HEALTHY)
    with recording() as recorded, own_prometheus(tick_seconds(plan)) as url:
        recorded.expect(url, (plan, first, seed, BEGIN))
        # It takes more than a second, in which the first step is recorded.
        from rehearsal.rehearse import Stage  # noqa: PLC0415
        from rehearsal.skipping import quiet, time_skipping  # noqa: PLC0415

        async with time_skipping(quiet()) as env:
            yield Stage(env, recorded)


async def rehearse(plan: RolloutPlan, scenario: Scenario, seed: int) -> "Played":
    """One rehearsal by the workflow, servers included."""
    placed(plan, scenario)
    async with stage(plan, scenario, seed) as shared:
        return await shared.rehearse(plan, scenario, seed)


async def walks(
    plan: RolloutPlan, scenario: Scenario, seeds: Sequence[int], progress: Progress
) -> list[Outcome]:
    """One walk of the pure core for each seed; ``progress`` hears how many are done."""
    from rehearsal.course import Course  # noqa: PLC0415 - only here, as all that it needs
    from rehearsal.ranges import reading  # noqa: PLC0415
    from rehearsal.tape import Studio  # noqa: PLC0415
    from rehearsal.walk import Walk  # noqa: PLC0415

    rehearsable(plan)
    placed(plan, scenario)
    done: list[Outcome] = []
    for start in range(0, len(seeds), RUNS_A_SERVER):
        with own_prometheus(tick_seconds(plan)) as url, reading(url) as ranges:
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
