"""The output of ``sluice explain``: a block for each decision, its evidence in columns.

The columns are plain text: rich measures and wraps every cell of a table, which takes a second for
twenty decisions.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from rich.console import Console
from rich.text import Text

from sluice.cli.views.check import OUTCOME_STYLES
from sluice.rollout.analysis.value_format import format_verdict
from sluice.rollout.review.explain import Explanation, VerdictEvidence
from sluice.rollout.units import format_count

_KIND_STYLE = {"red_flag": "bold red", "rollback": "bold red", "promote": "bold green"}
_HEADER = ("verdict", "reading", "must be", "samples", "rule")
_RIGHT = (1, 3)
"""Columns of numbers."""


def explanation_document(decision: Explanation) -> dict[str, Any]:
    """Return decision decision as JSON values, each verdict with its rule."""
    return decision.model_dump(mode="json")


def print_explanations(console: Console, rollout_id: str, decisions: Sequence[Explanation]) -> None:
    """Print every decision, oldest first."""
    console.print(Text(f"{rollout_id}: {format_count(len(decisions), 'decision')}", style="bold"))
    for decision in decisions:
        console.print(_heading(decision))
        if decision.evidence:
            console.print(_evidence_columns(decision), soft_wrap=True)


def _heading(decision: Explanation) -> Text:
    text = Text(f"\n{decision.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC  ", style="dim")
    text.append(decision.kind.replace("_", " "), style=_KIND_STYLE.get(decision.kind, "bold"))
    place = f" at {decision.percentage:g} %" if decision.percentage is not None else ""
    text.append(f"  {decision.text or 'no reason given'}", style="default")
    proof = ", signed" if decision.signer else ""
    text.append(f"  ({decision.actor}{proof}, {decision.step or 'no step'}{place})", style="dim")
    if decision.measured_at is not None:
        text.append(f"\n  rests on {decision.source}, measured {decision.measured_at:%H:%M:%S} UTC")
    if decision.runbook:
        text.append(f"\n  what to do: {decision.runbook}", style="bold")
    return text


def _evidence_columns(decision: Explanation) -> Text:
    rows = [tuple(Text(name, style="dim") for name in _HEADER)]
    rows += [_evidence_cells(evidence) for evidence in decision.evidence]
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    lines = [Text("  ") + Text("    ").join(_align(row, widths)) for row in rows]
    return Text("\n").join(lines)


def _align(row: Sequence[Text], widths: Sequence[int]) -> Iterator[Text]:
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        if number in _RIGHT:
            cell.pad_left(width - cell.cell_len)
        elif number < len(row) - 1:
            cell.pad_right(width - cell.cell_len)
        yield cell


def _evidence_cells(evidence: VerdictEvidence) -> tuple[Text, ...]:
    verdict, rule = evidence.verdict, evidence.rule
    samples = "" if verdict.samples is None else f"{verdict.samples:,.0f}"
    text = f"{verdict.gate}: {rule.text}" if rule else verdict.reason
    if rule and verdict.value is None:
        text += f" ({verdict.reason.partition(': ')[2]})"
    value, limit = format_verdict(verdict)
    return (
        Text(str(verdict.outcome), style=OUTCOME_STYLES[verdict.outcome]),
        Text(value),
        Text(f"{verdict.direction} {limit}"),
        Text(samples, style="dim"),
        Text(text),
    )
