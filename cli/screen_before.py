"""The part of the live screen that shows what a step waits for before it starts."""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rollout.approving import expiry, missing
from rollout.before import Line, checklist
from rollout.freeze import frozen
from rollout.judge import format_value
from rollout.plan import Step
from rollout.state import State, Status
from rollout.verdict import Check, Outcome, Verdict

OUTCOME_STYLE = {
    Outcome.SUCCESSFUL: "green",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.ERROR: "dark_orange",
    Outcome.FAILED: "bold red",
}
STARTABLE = (Status.PROGRESSING, Status.PAUSED)
_MARK = {True: ("✓", "green"), False: ("✗", "red"), None: ("○", "yellow")}


def before_start(state: State, now: datetime) -> list[RenderableType]:
    """Draw the checklist, approvals and freeze of a step that waits; nothing for a live one."""
    step = state.step
    if step is None or state.step_started_at is not None or state.status not in STARTABLE:
        return []
    parts: list[RenderableType] = []
    if step.checklist:
        parts.append(_checklist(state, step, now))
    if step.approval is not None:
        parts.append(_approvals(state, step))
    if (held := frozen(state.plan.freezes, now)) is not None:
        parts.append(Text(held.text, style="yellow"))
    return [Text(), *parts] if parts else []


def _checklist(state: State, step: Step, now: datetime) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "checklist", "", "who knows"):
        table.add_column(name)
    for line in checklist(state, step, now):
        table.add_row(*_row(line))
    return table


def _row(line: Line) -> tuple[RenderableType, ...]:
    mark, style = _MARK[line.done]
    item = line.item
    who = item.check if item.check != "attested" else "a person"
    because = line.because if line.done is not None else f"sluice attest {item.name}"
    if line.done is None and item.check != "attested":
        because = line.because
    return Text(mark, style=style), Text(item.title), Text(because, style="dim"), Text(who, "dim")


def _approvals(state: State, step: Step) -> RenderableType:
    given = ", ".join(f"{one.actor} on {one.evidence or 'nothing live'}" for one in state.approvals)
    text = Text(f"approved by {given or 'nobody yet'}; {missing(state, step)} more needed")
    if step.approval is not None and step.approval.of:
        text.append(f" of {', '.join(step.approval.of)}")
    if (until := expiry(state, step)) is not None and step.approval is not None:
        text.append(f"; {step.approval.on_expiry} at {until:%Y-%m-%d %H:%M} UTC", style="dim")
    return text


def readings(check: Check, percentage: float) -> RenderableType:
    """Draw one check as an approver must see it: its id, its time, and each gate's reading."""
    head = Text(f"{check.id} ", style="bold")
    head.append(f"at {check.at:%Y-%m-%d %H:%M:%S} UTC, {percentage:g} % live: ")
    head.append(str(check.outcome), style=OUTCOME_STYLE[check.outcome])
    return Group(head, gates(check))


def gates(check: Check) -> RenderableType:
    """Draw each gate: the reading, what it must be, what it rests on, and the verdict."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("gate", "reading", "must be", "samples", "verdict"):
        table.add_column(name, justify="right" if name in ("reading", "samples") else "left")
    for verdict in check.verdicts:
        table.add_row(*_gate_row(verdict))
    return table


def _gate_row(verdict: Verdict) -> tuple[RenderableType, ...]:
    outcome = Text(str(verdict.outcome), style=OUTCOME_STYLE[verdict.outcome])
    if verdict.value is None:
        outcome.append(f"  {verdict.because.partition(': ')[2]}", style="dim")
    samples = "" if verdict.samples is None else f"{verdict.samples:,.0f}"
    return (
        Text(verdict.gate),
        Text(format_value(verdict.value, verdict.unit)),
        Text(f"{verdict.direction} {format_value(verdict.limit, verdict.unit)}", style="dim"),
        Text(samples, style="dim"),
        outcome,
    )
