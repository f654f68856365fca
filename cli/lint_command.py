"""``sluice lint``, and reading a plan for other commands. Needs no server and loads no driver."""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import Exit
from cli.output import Json, answer, say
from cli.parameters import PlanPath
from rollout.errors import PlanError
from rollout.plan import Expected, RolloutPlan
from rollout.plan_yaml import load_plan
from rollout.sight import warnings
from rollout.strict_yaml import located

QueriesPerDay = Annotated[
    float | None, typer.Option(min=1, help="Expected queries a day, of both cohorts together.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 when there are warnings.")]


def lint(
    plan: PlanPath, qpd: QueriesPerDay = None, strict: Strict = False, json: Json = False
) -> None:
    """Check a plan: one line per mistake and per gate that can't decide, with field and line.

    What a gate can see is computed from the plan's traffic:, or from --qpd. Exit code: 2 for
    mistakes and, with --strict, for warnings.
    """
    checked = load_or_leave(plan, json)
    traffic = checked.traffic
    if qpd is not None:
        traffic = (traffic or Expected(queries_per_day=qpd)).model_copy(
            update={"queries_per_day": qpd}
        )
    told = dict.fromkeys(located(plan.read_text(encoding="utf-8"), warnings(checked, traffic)))
    document = {
        "plan": checked.name,
        "steps": len(checked.steps),
        "mistakes": [],
        "warnings": [{"line": w.line, "field": w.field, "message": w.message} for w in told],
    }
    lines = [f"{plan}: warning: {warning}" for warning in told]
    fine = f"{plan}: {checked.name} is fine ({len(checked.steps)} steps)"
    if told:
        fine = f"{plan}: {checked.name} is valid ({len(checked.steps)} steps), {len(told)} warnings"
    if traffic is None:
        fine += "; say traffic: or --qpd to learn what its gates can see"
    answer(json, document, "\n".join([*lines, fine]))
    if strict and told:
        raise typer.Exit(Exit.USAGE)


def load_or_leave(path: Path, json: bool) -> RolloutPlan:
    """Read a plan, or tell its mistakes and leave with exit code 2."""
    try:
        return load_plan(path)
    except PlanError as error:
        if json:
            mistakes = [
                {"line": m.line, "field": m.field, "message": m.message} for m in error.mistakes
            ]
            answer(True, {"plan": str(path), "mistakes": mistakes}, "")
        else:
            tell_mistakes(str(path), error)
        raise typer.Exit(Exit.USAGE) from error


def tell_mistakes(name: str, error: PlanError) -> None:
    """One line each, which begins with the file's name; that of a file that can't be read does."""
    say("\n".join(f"{one}" if one.field == name else f"{name}: {one}" for one in error.mistakes))
