"""What the Temporal UI shows to someone who has never seen the code."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from rollout.before import Line, checklist
from rollout.exposure import spent
from rollout.judge import format_value
from rollout.runbook import runbook_for
from rollout.state import Event, State, Status
from rollout.verdict import Outcome, Verdict

FLAG = SearchAttributeKey.for_keyword("SluiceFlag")
STAGE = SearchAttributeKey.for_keyword("SluiceStage")
PERCENTAGE = SearchAttributeKey.for_float("SluicePercentage")
STATUS = SearchAttributeKey.for_keyword("SluiceStatus")
ATTRIBUTES: tuple[SearchAttributeKey[Any], ...] = (FLAG, STAGE, PERCENTAGE, STATUS)

Attributes = list[SearchAttributeUpdate[Any]]

_MARK = {
    Outcome.SUCCESSFUL: "🟢",
    Outcome.INCONCLUSIVE: "🟡",
    Outcome.ERROR: "🟠",
    Outcome.FAILED: "🔴",
}
_EVENTS_SHOWN = 8
_CHOICES = {
    Status.PROGRESSING: ("pause", "rollback", "abort"),
    Status.PAUSED: ("resume", "rollback", "abort"),
    Status.DEGRADED: ("explain", "retry", "abort"),
}


def search_attributes(state: State) -> Attributes:
    stage = state.step.name if state.step else "done"
    return [
        FLAG.value_set(state.plan.flag),
        STAGE.value_set(stage),
        PERCENTAGE.value_set(state.percentage),
        STATUS.value_set(str(state.status)),
    ]


def details(state: State, waiting_for: str, until: datetime | None, now: datetime) -> str:
    """Give the page's current details in Markdown: where the rollout is, why, and what is next."""
    step = state.step
    where = f"Stage {step.stage}: {step.title}" if step else "All stages done"
    if step and step.audience:
        where += f", for {step.audience}"
    lines = [
        f"### {state.status}: {where}",
        f"**{state.plan.flag}** at **{state.percentage:g} %**: {waiting_for}",
    ]
    if choices := _CHOICES.get(state.status):
        commands = ", ".join(f"`sluice {verb} {state.plan.flag}`" for verb in choices)
        lines.append(f"\nA person can: {commands}")
    if page := runbook_for(state, "rolled_back"):
        lines.append(f"\nWhat to do: {page}")
    if until is not None:
        lines.append(f"\nNext: {until:%Y-%m-%d %H:%M:%S} UTC")
    lines += [
        f"- {_mark(line)} {line.item.title}: {line.because}" for line in _checklist(state, now)
    ]
    if (check := state.shown_check) is not None:
        lines += ["", f"Check {check.id} at {check.at:%Y-%m-%d %H:%M:%S} UTC"]
        lines += ["", "| gate | reading | limit | verdict |", "|---|---|---|---|"]
        lines += [_row(verdict) for verdict in check.verdicts]
    if said := spent(state):
        lines += ["", said]
    lines += ["", *(f"- {e.at:%m-%d %H:%M:%S} {e.actor}: {e.text}" for e in _recent(state))]
    return "\n".join(lines)


def _mark(line: Line) -> str:
    """A line of a checklist at a glance."""
    return {True: "🟢", False: "🔴", None: "⚪"}[line.done]


def _checklist(state: State, now: datetime) -> list[Line]:
    step = state.step
    waits = step is not None and state.step_started_at is None and not state.ended
    return checklist(state, step, now) if step is not None and waits else []


def _row(verdict: Verdict) -> str:
    value = format_value(verdict.value, verdict.unit)
    limit = f"{verdict.direction} {format_value(verdict.limit, verdict.unit)}"
    dry = " (dry run)" if verdict.dry_run else ""
    return (
        f"| {verdict.gate} | {value} | {limit} | {_MARK[verdict.outcome]} {verdict.outcome}{dry} |"
    )


def _recent(state: State) -> list[Event]:
    return list(reversed(state.timeline[-_EVENTS_SHOWN:]))
