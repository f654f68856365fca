"""The command ``sluice rehearse``: four weeks of a plan in seconds, on synthetic traffic."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.commands.lint import SECONDS_PER_DAY, load_plan_or_exit, print_diagnostics
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import PlanArgument
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.cli.views.rehearse import (
    comparison_lines,
    monte_carlo_text,
    rehearsal_text,
    rehearsals_document,
)
from sluice.rehearsal.errors import NotRehearsableError, RehearsalError
from sluice.rehearsal.results.budget_check import violations
from sluice.rehearsal.results.monte_carlo import MonteCarloSummary, summarize
from sluice.rehearsal.results.result import RehearsalResult, expectation_mismatch
from sluice.rehearsal.runner.session import rehearsal_environment, require_scenario_fits
from sluice.rehearsal.traffic.modeled_plan import ModeledPlan, model_rehearsal
from sluice.rehearsal.traffic.scenario import (
    HEALTHY_SCENARIO,
    Expectation,
    Scenario,
    load_scenario,
    scenario_names,
)
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.fit import fit_plan
from sluice.rollout.plan.forecast.forecast import forecast_rollout
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan
from sluice.stack.errors import StackError

if TYPE_CHECKING:
    from sluice.rehearsal.results.result import RehearsalRun

RUNS_MAX = 10_000
RunsOption = Annotated[
    int, typer.Option(min=0, max=RUNS_MAX, help="Also run N seeds on the pure core, for rates.")
]
QpsOption = Annotated[
    float | None,
    typer.Option(min=0.01, help="Mean queries a second; the plan is fitted to it."),
]
UserCountOption = Annotated[
    int | None, typer.Option(min=20, max=20_000, help="How many users send them.")
]
FitToTrafficOption = Annotated[
    bool, typer.Option("--fit/--no-fit", help="Fit the plan to --qps and --users, or do not.")
]


def rehearse(  # noqa: PLR0913, PLR0917  each is an option of the command line
    plan: PlanArgument,
    scenario: Annotated[
        str, typer.Option(help="The fault: a scenario of the library, or a YAML file.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same traffic.")] = 1,
    runs: RunsOption = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Fail when the plan exceeds its own budget.")
    ] = False,
    qps: QpsOption = None,
    users: UserCountOption = None,
    fit: FitToTrafficOption = True,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")] = None,
    json: JsonOption = False,
) -> None:
    """Rehearse a plan: the real workflow, four weeks in seconds, on synthetic traffic.

    Without --scenario the traffic is healthy; --check alone rehearses every scenario of the budget.
    With --qps or --users the plan is first fitted to that traffic (`sluice lint --fit` shows how),
    unless --no-fit. With --runs, the healthy scenario prints `sluice lint --forecast` beside the outcome.
    Exit code: 1 when a scenario does not end as its file expects, or a budget is exceeded; 2 when plan
    or scenario have mistakes or do not fit each other; 3 when a server is missing or fails.
    """
    checked = load_plan_or_exit(plan, json)
    if check and checked.budget is None:
        raise CliError(f"{plan} has no budget; add budget: to it (docs/rehearsal.md).", Exit.USAGE)
    scenarios = [_load_scenario(name) for name in _scenario_names(checked, scenario, check)]
    has_traffic = qps is not None or users is not None
    if has_traffic:
        scenarios = [_with_traffic(fault_scenario, qps, users) for fault_scenario in scenarios]
    modeled, scenarios = model_rehearsal(checked, scenarios)
    checked = modeled.plan
    if has_traffic and fit:
        checked = _fit_to_traffic(checked, scenarios[0])
    _print_model(modeled, scenarios)
    try:
        began = time.monotonic()
        rehearsals = asyncio.run(_rehearse(checked, scenarios, seed))
        studies = _run_many(checked, scenarios, seed, runs) if runs else []
    except NotRehearsableError as error:
        raise CliError(str(error), Exit.USAGE) from error
    except (RehearsalError, StackError) as error:
        raise CliError(str(error), Exit.UNREACHABLE) from error
    outcomes = [run.result for run in rehearsals]
    wrong = [*_unmet_expectations(checked, scenarios, outcomes)]
    if check and checked.budget is not None:
        wrong += violations(checked.budget, outcomes, studies)
    if html is not None:
        _write_page(html, checked, (rehearsals, studies, wrong))
    seconds = time.monotonic() - began
    sections = [rehearsal_text(outcome, scenarios[i].title) for i, outcome in enumerate(outcomes)]
    sections += [monte_carlo_text(study) for study in studies]
    sections += _forecast_sections(checked, scenarios, studies)
    sections += [f"took {seconds:.1f} s", *(f"UNEXPECTED: {problem}" for problem in wrong)]
    document = rehearsals_document(checked.name, outcomes, studies, wrong)
    document["signals"] = list(modeled.describe())
    print_result(json, document, "\n\n".join(sections))
    raise typer.Exit(Exit.FAILED if wrong else Exit.OK)


def _forecast_sections(
    plan: RolloutPlan, scenarios: Sequence[Scenario], studies: Sequence[MonteCarloSummary]
) -> list[str]:
    """Return a table of the forecast beside the runs of each scenario without faults."""
    return [
        "\n".join(comparison_lines(forecast_rollout(plan, _expected_traffic(scenario)), study))
        for scenario, study in zip(scenarios, studies, strict=False)
        if not scenario.faults
    ]


def _write_page(
    path: Path,
    plan: RolloutPlan,
    report_parts: tuple[list["RehearsalRun"], list[MonteCarloSummary], list[str]],
) -> None:
    """Write the page of the runs, the studies and the violations."""
    from sluice.rehearsal.results.html_report import render_html  # noqa: PLC0415 - only a page takes it

    path.write_text(render_html(plan, *report_parts), encoding="utf-8")


def _print_model(modeled: ModeledPlan, scenarios: Sequence[Scenario]) -> None:
    """Name the signal of each metric that is not the router's, and faults that none of them shows."""
    for line in modeled.describe():
        print_note(line)
    for scenario in scenarios:
        if unseen := modeled.unseen_faults(scenario):
            print_note(
                f"no metric of the plan shows {', '.join(unseen)}: scenario {scenario.name} changes "
                "nothing that it measures; model: of a metric names its signal"
            )


def _with_traffic(scenario: Scenario, qps: float | None, users: int | None) -> Scenario:
    traffic = scenario.traffic.model_copy(
        update={
            "queries_per_second": qps or scenario.traffic.queries_per_second,
            "users": users or scenario.traffic.users,
        }
    )
    return scenario.model_copy(update={"traffic": traffic})


def _fit_to_traffic(plan: RolloutPlan, scenario: Scenario) -> RolloutPlan:
    traffic = scenario.traffic
    fitted, changes = fit_plan(plan, _expected_traffic(scenario))
    print_note(
        f"{plan.name} is fitted to {traffic.queries_per_second:g} queries a second of "
        f"{traffic.users:,} users: {len(changes)} gates changed (sluice lint --fit lists them)"
    )
    return fitted


def _expected_traffic(scenario: Scenario) -> ExpectedTraffic:
    traffic = scenario.traffic
    return ExpectedTraffic(
        queries_per_day=SECONDS_PER_DAY * traffic.queries_per_second,
        users=traffic.users,
        error_rate=traffic.error_rate,
        feedback_share=traffic.feedback_share,
    )


def _scenario_names(plan: RolloutPlan, scenario: str, check: bool) -> list[str]:
    if scenario or not check or plan.budget is None:
        return [scenario or HEALTHY_SCENARIO]
    return [HEALTHY_SCENARIO, *plan.budget.detection_delay_max]


def _load_scenario(name: str) -> Scenario:
    try:
        return load_scenario(name)
    except KeyError:
        names = ", ".join(scenario_names())
        raise CliError(
            f"Unknown scenario {name!r}; use a file or one of {names}.", Exit.USAGE
        ) from None
    except PlanError as error:
        print_diagnostics(name, error)
        raise typer.Exit(Exit.USAGE) from error


async def _rehearse(
    plan: RolloutPlan, scenarios: Sequence[Scenario], seed: int
) -> list["RehearsalRun"]:
    for scenario in scenarios:
        require_scenario_fits(plan, scenario)
    async with rehearsal_environment(plan, scenarios[0], seed) as shared:
        return [await shared.rehearse(plan, scenario, seed) for scenario in scenarios]


def _run_many(
    plan: RolloutPlan, scenarios: Sequence[Scenario], seed: int, runs: int
) -> list[MonteCarloSummary]:
    from sluice.rehearsal.runner.core_runs import run_core  # noqa: PLC0415 - only for --runs

    studies = []
    for scenario in scenarios:
        print_note(f"{scenario.name}: {runs} runs by the pure core …")
        seeds = range(seed, seed + runs)
        outcomes = run_core(plan, scenario, seeds, lambda done: print_note(f"  {done}/{runs}"))
        studies.append(summarize(outcomes))
    return studies


def _unmet_expectations(
    plan: RolloutPlan, scenarios: Sequence[Scenario], outcomes: Sequence[RehearsalResult]
) -> Sequence[str]:
    """Return the results that differ from what their scenario expects for this plan."""
    problems = [
        (scenario.name, expectation_mismatch(outcome, scenario.expect))
        for scenario, outcome in zip(scenarios, outcomes, strict=True)
        if isinstance(scenario.expect, Expectation) and scenario.plan == plan.name
    ]
    return [f"{name}: {problem}" for name, problem in problems if problem]
