"""The command ``sluice lint``, and the reading of a plan for other commands. Imports no driver."""

from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.cli.views.forecast import forecast_document, forecast_lines
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.fit import fit_plan
from sluice.rollout.plan.forecast.forecast import forecast_rollout
from sluice.rollout.plan.lint import lint_warnings
from sluice.rollout.plan.loader import load_plan
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan
from sluice.rollout.units import format_count
from sluice.rollout.yaml_document import with_lines

SECONDS_PER_DAY = 86_400
QueriesPerDayOption = Annotated[
    float | None, typer.Option(min=1, help="Expected queries a day, of both cohorts together.")
]
QueriesPerSecondOption = Annotated[
    float | None, typer.Option(min=0.00002, help="The same as mean queries a second.")
]
UsersOption = Annotated[
    float | None, typer.Option(min=1, help="Users who send them, both cohorts together.")
]
FitOption = Annotated[
    bool, typer.Option("--fit", help="List the windows and samples that suit the traffic.")
]
ForecastOption = Annotated[
    bool,
    typer.Option("--forecast", help="State the chances of false actions and of verdicts in time."),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit with 2 when there are warnings.")
]


def lint(  # noqa: PLR0913, PLR0917  each is an option of the command line
    plans: Annotated[list[Path], typer.Argument(metavar="PLAN…", help="Plans, YAML files.")],
    qpd: QueriesPerDayOption = None,
    qps: QueriesPerSecondOption = None,
    users: UsersOption = None,
    fit: FitOption = False,
    forecast: ForecastOption = False,
    strict: StrictOption = False,
    json: JsonOption = False,
) -> None:
    """Check plans: one line per mistake and per gate that cannot decide, with field and line.

    The times to detection are computed from the plan's traffic:, or from --qpd (or --qps) and --users.
    --fit lists the windows and sample counts that keep chance from deciding at this traffic.
    --forecast states, by step and gate, the chance that it acts on a healthy rollout, and that it
    passes by the deadline; with --fit those of the fitted plan. Exit code: 2 for mistakes and, with
    --strict, for warnings.
    """
    if qpd is not None and qps is not None:
        raise CliError("--qpd and --qps state the same; give one of them.", Exit.USAGE)
    qpd = qpd if qps is None else qps * SECONDS_PER_DAY
    failed = False
    for plan in plans:
        try:
            warnings = _lint_plan(plan, (qpd, users), (fit, forecast), json)
        except typer.Exit:
            failed = True
        else:
            failed = failed or (strict and warnings > 0)
    if failed:
        raise typer.Exit(Exit.USAGE)


def _expected_traffic(
    stated: ExpectedTraffic | None, qpd: float | None, users: float | None
) -> ExpectedTraffic | None:
    """Return the plan's traffic with the options' values in place of its own."""
    if stated is None and qpd is None:
        return None
    traffic = stated or ExpectedTraffic(queries_per_day=qpd or 1)
    options = {"queries_per_day": qpd, "users": users}
    return traffic.model_copy(update={k: v for k, v in options.items() if v is not None})


def _lint_plan(
    plan: Path, options: tuple[float | None, float | None], wants: tuple[bool, bool], json: bool
) -> int:
    """Print what is wrong with one plan; return the number of warnings."""
    checked = load_plan_or_exit(plan, json)
    traffic = _expected_traffic(checked.traffic, *options)
    fit, forecast = wants
    fitted, fits = fit_plan(checked, traffic) if fit and traffic else (checked, [])
    changes = [change.text() for change in fits]
    steps = forecast_rollout(fitted, traffic) if forecast and traffic else ()
    warnings = dict.fromkeys(
        with_lines(plan.read_text(encoding="utf-8"), lint_warnings(checked, traffic))
    )
    document = {
        "plan": checked.name,
        "steps": len(checked.steps),
        "diagnostics": [],
        "warnings": [{"line": w.line, "field": w.field, "message": w.message} for w in warnings],
        "fit": changes,
        "forecast": forecast_document(steps),
    }
    lines = [f"{plan}: warning: {warning}" for warning in warnings]
    lines += [f"{plan}: fit: {change}" for change in changes]
    lines += [f"{plan}: forecast: {line}" for line in forecast_lines(steps)] if steps else []
    summary = f"{plan}: {checked.name} is fine ({format_count(len(checked.steps), 'step')})"
    if warnings:
        summary = f"{plan}: {checked.name} is valid ({format_count(len(checked.steps), 'step')}), {format_count(len(warnings), 'warning')}"
    if traffic is None:
        summary += "; add traffic: or --qpd to compute its times to detection"
    print_result(json, document, "\n".join([*lines, summary]))
    return len(warnings)


def load_plan_or_exit(path: Path, json: bool) -> RolloutPlan:
    """Read a plan, or print its mistakes and exit with code 2."""
    try:
        return load_plan(path)
    except PlanError as error:
        if json:
            mistakes = [
                {"line": m.line, "field": m.field, "message": m.message} for m in error.diagnostics
            ]
            print_result(True, {"plan": str(path), "diagnostics": mistakes}, "")
        else:
            print_diagnostics(str(path), error)
        raise typer.Exit(Exit.USAGE) from error


def print_diagnostics(name: str, error: PlanError) -> None:
    """Print diagnostic line per mistake, each beginning with the file's name."""
    print_note(
        "\n".join(
            f"{diagnostic}" if diagnostic.field == name else f"{name}: {diagnostic}"
            for diagnostic in error.diagnostics
        )
    )
