"""What the Temporal UI shows to someone who has never seen the code."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from sluice.rollout.analysis.judge import format_value
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.evidence_context import alpha_summary
from sluice.rollout.engine.preconditions import ChecklistRow, checklist_rows
from sluice.rollout.engine.runbook import runbook_for_alert
from sluice.rollout.engine.state import Event, State, Status

FLAG = SearchAttributeKey.for_keyword("SluiceFlag")
STAGE = SearchAttributeKey.for_keyword("SluiceStage")
PERCENTAGE = SearchAttributeKey.for_float("SluicePercentage")
STATUS = SearchAttributeKey.for_keyword("SluiceStatus")
SEARCH_ATTRIBUTES: tuple[SearchAttributeKey[Any], ...] = (FLAG, STAGE, PERCENTAGE, STATUS)

AttributeUpdates = list[SearchAttributeUpdate[Any]]

_OUTCOME_ICONS = {
    Outcome.SUCCESSFUL: "🟢",
    Outcome.INCONCLUSIVE: "🟡",
    Outcome.ERROR: "🟠",
    Outcome.FAILED: "🔴",
}
_EVENTS_SHOWN = 8
_COMMANDS = {
    Status.PROGRESSING: ("pause", "rollback", "abort"),
    Status.PAUSED: ("resume", "rollback", "abort"),
    Status.DEGRADED: ("explain", "retry", "abort"),
}


def search_attributes(state: State) -> AttributeUpdates:
    stage = state.step.name if state.step else "done"
    return [
        FLAG.value_set(state.plan.flag),
        STAGE.value_set(stage),
        PERCENTAGE.value_set(state.percentage),
        STATUS.value_set(str(state.status)),
    ]


def current_details(state: State, waiting_for: str, until: datetime | None, now: datetime) -> str:
    """Give the page's current details in Markdown: where the rollout is, why, and what is next."""
    step = state.step
    where = step.heading if step else "All stages done"
    if step and step.audience:
        where += f", for {step.audience}"
    lines = [
        f"### {state.status}: {where}",
        f"**{state.plan.flag}** at **{state.percentage:g} %**: {waiting_for}",
    ]
    if choices := _COMMANDS.get(state.status):
        commands = ", ".join(f"`sluice {verb} {state.plan.flag}`" for verb in choices)
        lines.append(f"\nA person can: {commands}")
    if page := runbook_for_alert(state, "rolled_back"):
        lines.append(f"\nWhat to do: {page}")
    if until is not None:
        lines.append(f"\nNext: {until:%Y-%m-%d %H:%M:%S} UTC")
    lines += [
        f"- {_checklist_icon(line)} {line.item.title}: {line.reason}"
        for line in _checklist_rows(state, now)
    ]
    if (check := state.latest_check) is not None:
        lines += ["", f"Check {check.id} at {check.at:%Y-%m-%d %H:%M:%S} UTC"]
        lines += ["", "| gate | reading | limit | verdict |", "|---|---|---|---|"]
        lines += [_gate_row(verdict) for verdict in check.verdicts]
    if said := alpha_summary(state):
        lines += ["", said]
    lines += ["", *(f"- {e.at:%m-%d %H:%M:%S} {e.actor}: {e.text}" for e in _recent_events(state))]
    return "\n".join(lines)


def _checklist_icon(line: ChecklistRow) -> str:
    """A line of a checklist at a glance."""
    return {True: "🟢", False: "🔴", None: "⚪"}[line.done]


def _checklist_rows(state: State, now: datetime) -> list[ChecklistRow]:
    step = state.step
    waits = step is not None and state.step_started_at is None and not state.has_ended
    return checklist_rows(state, step, now) if step is not None and waits else []


def _gate_row(verdict: Verdict) -> str:
    value = format_value(verdict.value, verdict.unit)
    limit = f"{verdict.direction} {format_value(verdict.limit, verdict.unit)}"
    dry = " (dry run)" if verdict.dry_run else ""
    return f"| {verdict.gate} | {value} | {limit} | {_OUTCOME_ICONS[verdict.outcome]} {verdict.outcome}{dry} |"


def _recent_events(state: State) -> list[Event]:
    return list(reversed(state.timeline[-_EVENTS_SHOWN:]))
