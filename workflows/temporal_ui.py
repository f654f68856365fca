"""The Temporal UI's page of a rollout, for someone who has never seen the code."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from sluice.rollout.analysis.value_format import format_verdict
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.escalation import describe_acknowledged
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.evidence_context import alpha_summary
from sluice.rollout.engine.preconditions import ChecklistRow, checklist_rows
from sluice.rollout.engine.runbook import runbook_for_alert
from sluice.rollout.engine.state import State, Status
from sluice.rollout.printable import escape_markdown

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
    """Return the search attributes of the rollout as of now."""
    stage = state.step.name if state.step else "done"
    return [
        FLAG.value_set(state.plan.flag),
        STAGE.value_set(stage),
        PERCENTAGE.value_set(state.percentage),
        STATUS.value_set(str(state.status)),
    ]


def current_details(state: State, waiting_for: str, until: datetime | None, now: datetime) -> str:
    """Return the page's details in Markdown: the step, the reason to wait, and the next event."""
    step = state.step
    heading = step.heading if step else "All stages done"
    if step and step.audience:
        heading += f", for {step.audience}"
    lines = [
        f"### {state.status}: {escape_markdown(heading)}",
        f"**{state.plan.flag}** at **{state.percentage:g} %**: {escape_markdown(waiting_for)}",
    ]
    lines += [
        f"\n{escape_markdown(describe_acknowledged(acknowledgement))}"
        for acknowledgement in state.red_flags.acknowledged
    ]
    if choices := _COMMANDS.get(state.status):
        commands = ", ".join(f"`sluice {verb} {state.plan.flag}`" for verb in choices)
        lines.append(f"\nCommands: {commands}")
    if page := runbook_for_alert(state, "rolled_back"):
        lines.append(f"\nRunbook: {page}")
    if until is not None:
        lines.append(f"\nNext: {until:%Y-%m-%d %H:%M:%S} UTC")
    lines += [
        f"- {_checklist_icon(row)} {escape_markdown(f'{row.item.title}: {row.reason}')}"
        for row in _checklist_rows(state, now)
    ]
    if (check := state.latest_check) is not None:
        lines += ["", f"Check {check.id} at {check.at:%Y-%m-%d %H:%M:%S} UTC"]
        lines += ["", *(_gate_line(verdict) for verdict in check.verdicts)]
    if alpha := alpha_summary(state):
        lines += ["", alpha]
    events = [
        f"- {event.at:%m-%d %H:%M:%S} {escape_markdown(f'{event.actor}: {event.text}')}"
        for event in _recent(state)
    ]
    lines += ["", "Latest events:", "", *events]
    return "\n".join(lines)


def _checklist_icon(row: ChecklistRow) -> str:
    return {True: "🟢", False: "🔴", None: "⚪"}[row.done]


def _checklist_rows(state: State, now: datetime) -> list[ChecklistRow]:
    step = state.step
    if step is None or state.is_live or state.has_ended:
        return []
    return checklist_rows(state, step, now)


def _gate_line(verdict: Verdict) -> str:
    """Return a list item: the UI's tables have no space between their columns."""
    value, limit = format_verdict(verdict)
    limit = f"{verdict.direction} {limit}"
    dry = " (dry run)" if verdict.dry_run else ""
    outcome = f"{_OUTCOME_ICONS[verdict.outcome]} {verdict.outcome}{dry}"
    return f"- {outcome}: **{verdict.gate}** {value}, must be {limit}"


def _recent(state: State) -> list[Event]:
    return list(reversed(state.timeline[-_EVENTS_SHOWN:]))
