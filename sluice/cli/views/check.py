"""The table of one check: each gate's reading, limit and verdict."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluice.rollout.analysis.value_format import format_verdict
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict

OUTCOME_STYLES = {
    Outcome.SUCCESSFUL: "green",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.ERROR: "dark_orange",
    Outcome.FAILED: "bold red",
}


def check_view(check: Check, percentage: float) -> RenderableType:
    """Draw one check for an approver: its id, its time, and each gate's reading."""
    head = Text(f"{check.id} ", style="bold")
    head.append(f"at {check.at:%Y-%m-%d %H:%M:%S} UTC, {percentage:g} % live: ")
    head.append(str(check.outcome), style=OUTCOME_STYLES[check.outcome])
    return Group(head, gates_table(check))


def gates_table(check: Check) -> RenderableType:
    """Draw each gate: reading, limit, samples and verdict."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("gate", "reading", "must be", "samples", "verdict"):
        table.add_column(name, justify="right" if name in ("reading", "samples") else "left")
    for verdict in check.verdicts:
        table.add_row(*_gate_cells(verdict))
    return table


def _gate_cells(verdict: Verdict) -> tuple[RenderableType, ...]:
    outcome = Text(str(verdict.outcome), style=OUTCOME_STYLES[verdict.outcome])
    if verdict.value is None:
        outcome.append(f"  {verdict.reason.partition(': ')[2]}", style="dim")
    samples = "" if verdict.samples is None else f"{verdict.samples:,.0f}"
    value, limit = format_verdict(verdict)
    return (
        Text(verdict.gate),
        Text(value),
        Text(f"{verdict.direction} {limit}", style="dim"),
        Text(samples, style="dim"),
        outcome,
    )
