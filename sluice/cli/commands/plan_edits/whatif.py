"""The command ``sluice whatif``: a rollout's recorded readings under other thresholds."""

import asyncio
import shlex
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.models import ReportRequest
from activities.contract.timeline_ledger import (
    merge_timelines,
    read_checks,
    read_events,
)
from sluice.cli.clients.ledger import fetch_live_state, open_ledger, resolve_rollout_id
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import RolloutArgument
from sluice.cli.output import JsonOption, print_result
from sluice.cli.views.whatif import whatif_document, whatif_text
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Finding, State
from sluice.rollout.engine.timeline import findings_of
from sluice.rollout.errors import OverrideError
from sluice.rollout.plan.overrides import override_plan, parse_override
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.explain import RecordedCheck
from sluice.rollout.review.whatif import (
    VerdictChange,
    editable_rules,
    rejudge_checks,
    rejudge_finding,
    sorted_checks,
    would_fire,
)
from sluice.rollout.review.whatif_replay import RecordedEvidence, StepReplay, replay_steps


def whatif(
    rollout: RolloutArgument = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="STEP.GATE.FIELD=VALUE, as ramp-25.latency_p99.threshold=0.8."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Judge a rollout's recorded readings again under edited rules, and show the resulting end.

    Thresholds, sample counts and the no-data policy can be edited. A window cannot, because no
    readings over another window were recorded; `sluice backtest` measures them. Exit code: 4 when nothing is recorded.
    """
    if not overrides:
        raise CliError("--set is missing; write for example "
                       "--set ramp-25.latency_p99.threshold=0.8", Exit.USAGE)  # fmt: skip
    asyncio.run(_whatif(rollout, overrides, json))


async def _whatif(rollout: str | None, override_texts: Sequence[str], json: bool) -> None:
    context = Context.read()
    async with open_ledger(context) as ledger:
        rollout_id = await resolve_rollout_id(ledger, rollout)
        recorded = await read_events(ledger, rollout_id)
        state = await fetch_live_state(context, rollout_id, recorded)
        plan = state.plan if state else await _load_archived_plan(ledger, rollout_id)
        records = await read_checks(ledger, rollout_id)
    events = merge_timelines(recorded, state.timeline if state else ())
    checks = [RecordedCheck(check=r.check, gates=r.gates, metrics=r.metrics) for r in records]
    try:
        changes, replays = replay_with_overrides(override_texts, (checks, events), plan)
    except OverrideError as error:
        raise CliError(str(error), Exit.USAGE) from error
    print_result(
        json,
        whatif_document(rollout_id, override_texts, changes, replays),
        whatif_text(rollout_id, changes, replays, plan) + amend_hint(state, override_texts),
    )


def amend_hint(state: State | None, override_texts: Sequence[str]) -> str:
    """Return the command that gives a running rollout these rules, or nothing."""
    if state is None or state.has_ended:
        return ""
    edits = " ".join(f"--set {shlex.quote(text)}" for text in override_texts)
    return (
        f"\nto judge by these rules from now on: sluice amend {state.plan.flag} {edits} -m REASON"
    )


async def _load_archived_plan(ledger: PostgresLedger, rollout_id: str) -> RolloutPlan | None:
    """Return the final plan; None while the rollout runs and Temporal does not answer."""
    states = await ledger.entries(rollout_id, "state")
    if not states:
        return None
    return ReportRequest.model_validate_json(states[-1].body, extra="ignore").state.plan


RolloutRecords = tuple[Sequence[RecordedCheck], Sequence[Event]]


def replay_with_overrides(
    override_texts: Sequence[str], records: RolloutRecords, plan: RolloutPlan | None
) -> tuple[list[VerdictChange], list[StepReplay]]:
    """Return the changes that the edits make, verdict by verdict and step by step.

    Raises:
        OverrideError: an edit that can't be applied to what was recorded.
    """
    checks, events = records
    findings = findings_of(events)
    step_findings = [(_step_at(events, finding), finding) for finding in findings]
    edits = [
        parse_override(text, editable_rules(checks, step_findings, plan)) for text in override_texts
    ]
    rejudged_checks = list(rejudge_checks(checks, edits))
    changes = [change for _, check_changes in rejudged_checks for change in check_changes]
    finding_changes = [
        rejudge_finding(step, finding, edits, plan) for step, finding in step_findings
    ]
    changes += [
        c
        for c in finding_changes
        if any((e.step, e.gate) == (c.step, c.before.gate) for e in edits)
    ]
    changes.sort(key=lambda change: change.at)
    if plan is None:
        return changes, []
    firing_findings = [
        finding.model_copy(update={"verdict": change.after})
        for (_, finding), change in zip(step_findings, finding_changes, strict=True)
        if would_fire(change)
    ]
    before = RecordedEvidence(plan, sorted_checks(checks), findings)
    after = RecordedEvidence(
        override_plan(plan, edits),
        sorted_checks([check for check, _ in rejudged_checks]),
        firing_findings,
    )
    return changes, list(replay_steps(events, before, after))


def _step_at(events: Sequence[Event], finding: Finding) -> str:
    """Return the step that was live at the watch's finding."""
    just_after = finding.seen_at + timedelta(seconds=1)
    lives = [e.step for e in events if e.kind == "step" and e.step and e.at <= just_after]
    return lives[-1] if lives else ""
