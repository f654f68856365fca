"""``sluice whatif``: a rollout's recorded readings under other thresholds."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from activities.journal import merged, recorded_checks, recorded_events, recorded_findings
from activities.ledger import PostgresLedger
from activities.models import ReportRequest
from cli.context import Context
from cli.errors import CliError, Exit
from cli.evidence import Id, live_state, opened_ledger, recorded_id
from cli.output import Json, answer
from cli.whatif_view import document, text
from rollout.edits import Edit, edited, parse_edit
from rollout.errors import EditError
from rollout.explain import Judged
from rollout.plan import RolloutPlan
from rollout.state import Event, Finding
from rollout.whatif import (
    Change,
    as_checks,
    fires,
    found_again,
    judged_again,
    rules_of,
    taken,
)
from rollout.whatif_course import Evidence, Visit, visits


def whatif(
    rollout: Id = None,
    edits: Annotated[
        list[str] | None,
        typer.Option("--set", help="STEP.GATE.FIELD=VALUE, as ramp-25.latency_p99.threshold=0.8."),
    ] = None,
    json: Json = False,
) -> None:
    """Judge a rollout's recorded readings again, under edited rules: what would have become of it.

    Thresholds, sample counts and what no data means can be edited; a window can't, as readings over
    another one were never taken (`sluice backtest` takes them). Exit code: 4 when nothing is recorded.
    """
    if not edits:
        raise CliError("--set is missing: what if what? For example "
                       "--set ramp-25.latency_p99.threshold=0.8", Exit.USAGE)  # fmt: skip
    asyncio.run(_whatif(rollout, edits, json))


async def _whatif(rollout: str | None, wanted: Sequence[str], json: bool) -> None:
    context = Context.read()
    async with opened_ledger(context) as ledger:
        rollout_id = await recorded_id(ledger, rollout)
        state = await live_state(context, rollout_id)
        plan = state.plan if state else await _kept_plan(ledger, rollout_id)
        records = await recorded_checks(ledger, rollout_id)
        findings = await recorded_findings(ledger, rollout_id)
        recorded = await recorded_events(ledger, rollout_id)
    events = merged(recorded, state.timeline if state else ())
    checks = [Judged(check=r.check, gates=r.gates, metrics=r.metrics) for r in records]
    try:
        changes, course = tell(wanted, (checks, findings, events), plan)
    except EditError as error:
        raise CliError(str(error), Exit.USAGE) from error
    answer(
        json, document(rollout_id, wanted, changes, course), text(rollout_id, changes, course, plan)
    )


async def _kept_plan(ledger: PostgresLedger, rollout_id: str) -> RolloutPlan | None:
    """The plan as it was at the end; None while the rollout runs and Temporal does not answer."""
    kept = await ledger.entries(rollout_id, "state")
    if not kept:
        return None
    return ReportRequest.model_validate_json(kept[-1].body, extra="ignore").state.plan


Recorded = tuple[Sequence[Judged], Sequence[Finding], Sequence[Event]]


def tell(
    wanted: Sequence[str], recorded: Recorded, plan: RolloutPlan | None
) -> tuple[list[Change], list[Visit]]:
    """What the edits change, verdict by verdict and step by step.

    Raises:
        EditError: an edit that can't be applied to what was recorded.
    """
    checks, findings, events = recorded[0], taken(recorded[1], recorded[2]), recorded[2]
    placed = [(_step_at(events, finding), finding) for finding in findings]
    edits = [parse_edit(one, rules_of(checks, placed, plan)) for one in wanted]
    again = list(judged_again(checks, edits))
    changes = [change for _, some in again for change in some]
    found = [found_again(step, finding, edits, plan) for step, finding in placed]
    changes += [c for c in found if any((e.step, e.gate) == (c.step, c.before.gate) for e in edits)]
    changes.sort(key=lambda change: change.at)
    if plan is None:
        return changes, []
    still = [
        finding.model_copy(update={"verdict": change.after})
        for (_, finding), change in zip(placed, found, strict=True)
        if fires(change)
    ]
    before = Evidence(plan, as_checks(checks), findings)
    after = Evidence(_edited_plan(plan, edits), as_checks([one for one, _ in again]), still)
    return changes, list(visits(events, before, after))


def _step_at(events: Sequence[Event], finding: Finding) -> str:
    """The step that was live when the watch found it."""
    just_after = finding.seen_at + timedelta(seconds=1)
    lives = [e.step for e in events if e.kind == "step" and e.step and e.at <= just_after]
    return lives[-1] if lives else ""


def _edited_plan(plan: RolloutPlan, edits: Sequence[Edit]) -> RolloutPlan:
    steps = []
    for step in plan.steps:
        rules = {}
        for kind in ("gates", "red_flags"):
            gates = getattr(step, kind)
            rules[kind] = tuple(
                edited(g, [e for e in edits if (e.step, e.gate) == (step.name, g.name)])
                for g in gates
            )
        steps.append(step.model_copy(update=rules))
    return plan.model_copy(update={"steps": tuple(steps)})
