"""The part of the live screen for the preconditions of the next step."""

from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sluice.rollout.engine.approvals import (
    approval_expires_at,
    approval_policy,
    missing_approvals,
)
from sluice.rollout.engine.preconditions import ChecklistRow, checklist_rows
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.freeze_windows import active_freeze
from sluice.rollout.plan.schema import Step

STARTABLE_STATUSES = (Status.PROGRESSING, Status.PAUSED)
_ITEM_MARK = {True: ("✓", "green"), False: ("✗", "red"), None: ("○", "yellow")}


def precondition_parts(state: State, now: datetime) -> list[RenderableType]:
    """Draw the checklist, approvals and freeze of a waiting step; nothing for a live one."""
    step = state.step
    if step is None or state.clock.started_at is not None or state.status not in STARTABLE_STATUSES:
        return []
    parts: list[RenderableType] = []
    if state.plan.checklist_of(step):
        parts.append(_checklist(state, step, now))
    if approval_policy(state, step) is not None:
        parts.append(_approvals_text(state, step))
    if (freeze := active_freeze(state.plan.freezes, now)) is not None:
        parts.append(Text(freeze.text, style="yellow"))
    return [Text(), *parts] if parts else []


def _checklist(state: State, step: Step, now: datetime) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "checklist", "", "who knows"):
        table.add_column(name)
    for line in checklist_rows(state, step, now):
        table.add_row(*_checklist_cells(line))
    return table


def _checklist_cells(line: ChecklistRow) -> tuple[RenderableType, ...]:
    mark, style = _ITEM_MARK[line.done]
    item = line.item
    checker = item.check if item.check != "attested" else "a person"
    reason = line.reason if line.done is not None else f"sluice attest {item.name}"
    if line.done is None and item.check != "attested":
        reason = line.reason
    return (
        Text(mark, style=style),
        Text(item.title),
        Text(reason, style="dim"),
        Text(checker, "dim"),
    )


def _approvals_text(state: State, step: Step) -> RenderableType:
    approvals = ", ".join(
        f"{approval.actor} on {approval.evidence or 'nothing live'}"
        for approval in state.entry.approvals
    )
    text = Text(
        f"approved by {approvals or 'no one yet'}; {missing_approvals(state, step)} more needed"
    )
    if step.approval is not None and step.approval.eligible_approvers:
        text.append(f" of {', '.join(step.approval.eligible_approvers)}")
    if (until := approval_expires_at(state, step)) is not None and step.approval is not None:
        text.append(f"; {step.approval.on_expiry} at {until:%Y-%m-%d %H:%M} UTC", style="dim")
    return text
