"""The pages of a rollout's record: explain, what-if, plan and post-mortem."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from sluice.cli.errors import CliError, Exit
from sluice.console.pages.rendering import render_page
from sluice.console.services import require_session, services_of
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.plan.overrides import REPLAYABLE_FIELDS
from sluice.rollout.plan.schema import RolloutPlan, Step
from sluice.rollout.review.explain import summarize_rule

router = APIRouter()
Choice = Annotated[str, Query(max_length=200)]
Run = Annotated[str, Query(max_length=100, pattern=r"^[0-9a-zA-Z-]*$")]
"""The first run of an earlier rollout of the flag; empty for the latest."""


@dataclass(frozen=True, slots=True)
class PlanStepView:
    """One step of the plan, its rules in words."""

    step: Step
    hold: timedelta
    gates: list[str]
    red_flags: list[str]


@dataclass(frozen=True, slots=True)
class PlanAmendment:
    """One change of the running plan: who made it, why, and each difference."""

    at: datetime
    actor: str
    reason: str
    proof: str
    changes: list[str]


@router.get("/rollouts/{flag}/explain")
async def explain_page(request: Request, flag: str, run: Run = "") -> Response:
    """Show each decision with the readings and rules that it rests on."""
    require_session(request)
    explanations = await services_of(request).record.explain(flag, run)
    return _render(request, "explain.html", flag, run=run, explanations=explanations)


@router.get("/rollouts/{flag}/plan")
async def plan_page(request: Request, flag: str) -> Response:
    """Show the plan that the rollout follows."""
    require_session(request)
    snapshot = await services_of(request).feed.read(flag)
    plan = snapshot.state.plan
    steps = [_step_view(plan, step) for step in plan.steps]
    current = snapshot.state.step.name if snapshot.state.step else ""
    amendments = plan_amendments(snapshot.history.events)
    values = {"plan": plan, "steps": steps, "current": current, "amendments": amendments}
    return _render(request, "plan.html", flag, **values)


def plan_amendments(events: Sequence[Event]) -> list[PlanAmendment]:
    """List the amendments of the running plan, newest first.

    The decision follows the differences in the timeline.
    """
    pairs = [(a, b) for a, b in pairwise(events) if (a.kind, b.kind) == ("plan", Verb.AMEND)]
    return [
        PlanAmendment(made.at, made.actor, made.text, made.proof_text, changes.text.split("; "))
        for changes, made in reversed(pairs)
    ]


@router.get("/rollouts/{flag}/report")
async def report_page(request: Request, flag: str, run: Run = "") -> Response:
    """Show the post-mortem."""
    require_session(request)
    services = services_of(request)
    text = await services.record.write_report(flag, services.now(), run)
    return _render(request, "report.html", flag, run=run, text=text)


@router.get("/rollouts/{flag}/whatif")
async def whatif_page(
    request: Request, flag: str, rule: Choice = "", field: Choice = "", value: Choice = ""
) -> Response:
    """Judge the recorded readings again under one edited rule."""
    require_session(request)
    record = services_of(request).record
    is_complete = bool(rule and field and value.strip())
    edits, problem = ([f"{rule}.{field}={value.strip()}"] if is_complete else []), ""
    try:
        result = await record.replay(flag, edits)
    except CliError as error:
        if error.code is not Exit.USAGE:
            raise
        result, problem = await record.replay(flag, []), str(error)
    values = {
        "result": result,
        "rules": editable_rule_names(result.plan),
        "fields": sorted(REPLAYABLE_FIELDS),
        "edit": {"rule": rule, "field": field, "value": value},
        "problem": problem,
    }
    return _render(request, "whatif.html", flag, **values)


def editable_rule_names(plan: RolloutPlan) -> list[str]:
    """List gates and red flags as ``step.gate``, in the plan's order."""
    rules = [(step, rule) for step in plan.steps for rule in (*step.gates, *step.red_flags)]
    return list(dict.fromkeys(f"{step.name}.{rule.name}" for step, rule in rules))


def _render(request: Request, template: str, flag: str, **values: Any) -> Response:  # noqa: ANN401  a template's own values
    return render_page(request, template, {"flag": flag, **values})


def _step_view(plan: RolloutPlan, step: Step) -> PlanStepView:
    def words(rules: tuple[Any, ...]) -> list[str]:
        return [f"{r.name}: {summarize_rule(r, plan.metrics[r.metric]).text}" for r in rules]

    return PlanStepView(step, step.hold, words(step.gates), words(step.red_flags))
