"""``sluice rehearse``: a plan through its four weeks in seconds, before it touches anyone."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError, Exit
from cli.lint_command import load_or_leave, tell_mistakes
from cli.output import Json, answer, say
from cli.parameters import PlanPath
from cli.rehearsal_view import document, study_text, text
from rehearsal.budget import HEALTHY, exceeded
from rehearsal.errors import NotRehearsableError, RehearsalError
from rehearsal.outcome import Outcome, disappointment
from rehearsal.run import placed, stage, walks
from rehearsal.scenario import Expectation, Scenario, library, load_scenario
from rehearsal.study import Study, study_of
from rollout.errors import PlanError
from rollout.plan import RolloutPlan
from stack.errors import StackError

if TYPE_CHECKING:
    from rehearsal.rehearse import Played

RUNS_MAX = 10_000


def rehearse(  # noqa: PLR0913, PLR0917  each is an option of the command line
    plan: PlanPath,
    scenario: Annotated[
        str, typer.Option(help="What goes wrong: a name of the library, or a YAML file.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same traffic.")] = 1,
    runs: Annotated[
        int, typer.Option(min=0, max=RUNS_MAX, help="Also so many seeds, by the pure core: rates.")
    ] = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Fail when the plan exceeds its own budget.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots there.")] = None,
    json: Json = False,
) -> None:
    """Rehearse a plan: the real workflow, four weeks in seconds, on synthetic traffic.

    Without --scenario nothing goes wrong; --check alone rehearses every scenario of the budget.
    Exit code: 1 when a scenario does not end as its file expects, or a budget is exceeded; 2 when plan
    or scenario have mistakes, or don't go together; 3 when a server it needs is missing or fails.
    """
    checked = load_or_leave(plan, json)
    if check and checked.budget is None:
        raise CliError(f"{plan} has no budget; add budget: to it (docs/rehearsal.md).", Exit.USAGE)
    scenarios = [_scenario(name) for name in _names(checked, scenario, check)]
    try:
        began = time.monotonic()
        played, studies = asyncio.run(_rehearse(checked, scenarios, seed, runs))
    except NotRehearsableError as error:
        raise CliError(str(error), Exit.USAGE) from error
    except (RehearsalError, StackError) as error:
        raise CliError(str(error), Exit.UNREACHABLE) from error
    outcomes = [one.outcome for one in played]
    wrong = [*_disappointments(checked, scenarios, outcomes)]
    if check and checked.budget is not None:
        wrong += exceeded(checked.budget, outcomes, studies)
    if html is not None:
        from rehearsal.page import page  # noqa: PLC0415 - only a page takes it

        html.write_text(page(checked, played, studies, wrong), encoding="utf-8")
    seconds = time.monotonic() - began
    told = [text(one, scenarios[i].title) for i, one in enumerate(outcomes)]
    told += [study_text(one) for one in studies]
    told += [f"took {seconds:.1f} s", *(f"NOT AS WANTED: {one}" for one in wrong)]
    answer(json, document(checked.name, outcomes, studies, wrong), "\n\n".join(told))
    raise typer.Exit(Exit.FAILED if wrong else Exit.OK)


def _names(plan: RolloutPlan, scenario: str, check: bool) -> list[str]:
    if scenario or not check or plan.budget is None:
        return [scenario or HEALTHY]
    return [HEALTHY, *plan.budget.detection_delay_max]


def _scenario(name: str) -> Scenario:
    try:
        return load_scenario(name)
    except KeyError:
        known = ", ".join(library())
        raise CliError(
            f"No scenario {name!r}; there are {known}, or give a file.", Exit.USAGE
        ) from None
    except PlanError as error:
        tell_mistakes(name, error)
        raise typer.Exit(Exit.USAGE) from error


async def _rehearse(
    plan: RolloutPlan, scenarios: Sequence[Scenario], seed: int, runs: int
) -> tuple[list["Played"], list[Study]]:
    for scenario in scenarios:
        placed(plan, scenario)
    async with stage(plan, scenarios[0], seed) as shared:
        played = [await shared.rehearse(plan, scenario, seed) for scenario in scenarios]
    studies = []
    for scenario in scenarios if runs else ():
        say(f"{scenario.name}: {runs} runs by the pure core …")
        seeds = range(seed, seed + runs)
        outcomes = await walks(plan, scenario, seeds, lambda done: say(f"  {done}/{runs}"))
        studies.append(study_of(outcomes))
    return played, studies


def _disappointments(
    plan: RolloutPlan, scenarios: Sequence[Scenario], outcomes: Sequence[Outcome]
) -> Sequence[str]:
    """What ended otherwise than its scenario says; a scenario speaks of one plan only."""
    told = [
        (scenario.name, disappointment(outcome, scenario.expect))
        for scenario, outcome in zip(scenarios, outcomes, strict=True)
        if isinstance(scenario.expect, Expectation) and scenario.plan == plan.name
    ]
    return [f"{name}: {because}" for name, because in told if because]
