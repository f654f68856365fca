"""The sentences of the post-mortem (guide: Lessons Learned Template), each from something measured.

People add what no metric knows; nothing is claimed here that the record doesn't show.
"""

from collections.abc import Iterator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.judge import format_value
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.state import Rollback
from sluice.rollout.review.report import GateRow, MetricImpact, Report, StepChecks
from sluice.rollout.units import format_duration

NOTABLE_CHANGE = 0.02
NARROW_MARGIN = 0.1
OFTEN_SHARE = 0.2
_UNEXPECTED_KINDS = ("note", "pause")


class Lessons(Model):
    """The guide's four lists of bullet points."""

    went_well: tuple[str, ...]
    went_wrong: tuple[str, ...]
    unexpected: tuple[str, ...]
    recommendations: tuple[str, ...]


def lessons_learned(report: Report) -> Lessons:
    """Write every list; one without anything to say is empty."""
    return Lessons(
        went_well=tuple(_went_well(report)),
        went_wrong=tuple(_went_wrong(report)),
        unexpected=tuple(_unexpected(report)),
        recommendations=tuple(dict.fromkeys(_recommendations(report))),
    )


def _went_well(report: Report) -> Iterator[str]:
    if report.ending == "Healthy":
        took = format_duration(report.duration)
        yield f"The rollout reached {report.percentage_max:g} % and ended Healthy after {took}."
    passed = [event for event in report.events if event.kind == "promote"]
    if passed:
        yield f"Steps promoted: {len(passed)}, the last one {passed[-1].text}."
    good, total = _count(report, Outcome.SUCCESSFUL)
    if good:
        yield f"{good} of {total} checks were Successful."
    for impact in report.impacts:
        if impact.is_improvement and abs(impact.change or 0.0) >= NOTABLE_CHANGE:
            yield f"{impact.metric} improved: {_format_change(impact)}."
    for rollback in report.rollbacks:
        if rollback.confirmation:
            yield f"The {_rollback_name(rollback)} was confirmed: {rollback.confirmation}."


def _went_wrong(report: Report) -> Iterator[str]:
    if report.ending == "Aborted":
        yield f"The rollout was aborted after {format_duration(report.duration)}."
    for rollback in report.rollbacks:
        yield f"{_rollback_name(rollback).capitalize()} from step {rollback.from_step}: {rollback.reason}."
    for step, row in _rows(report):
        if row.outcomes.get(Outcome.FAILED) and not row.last.dry_run:
            yield f"{_format_share(row, Outcome.FAILED)} of {row.gate} in step {step.step} Failed."
    for impact in report.impacts:
        if impact.is_improvement is False and abs(impact.change or 0.0) >= NOTABLE_CHANGE:
            yield f"{impact.metric} got worse: {_format_change(impact)}."


def _unexpected(report: Report) -> Iterator[str]:
    for outcome in (Outcome.ERROR, Outcome.INCONCLUSIVE):
        for step, row in _rows(report):
            if row.outcomes.get(outcome):
                yield f"{_format_share(row, outcome)} of {row.gate} in step {step.step} were {outcome}."
    for event in report.events:
        if event.kind in _UNEXPECTED_KINDS and event.actor == "sluice":
            yield f"{event.text}."


def _recommendations(report: Report) -> Iterator[str]:
    for _, row in _rows(report):
        yield from _advice(row)
    for rollback in report.rollbacks:
        if rollback.finding is not None:
            yield f"Rehearse the cause of {rollback.finding.name} before raising traffic again."


def _advice(row: GateRow) -> Iterator[str]:
    if row.outcomes.get(Outcome.FAILED) and row.last.dry_run:
        yield f"Dry run of {row.gate} would have failed: correct its threshold, or enforce it."
    elif row.outcomes.get(Outcome.FAILED):
        yield f"Find out why {row.gate} failed before the next rollout ({row.last.reason})."
    if row.outcomes.get(Outcome.ERROR):
        yield f"Make {row.gate} measurable at all times: checks of it ended in Error."
    if row.outcomes.get(Outcome.INCONCLUSIVE, 0) > OFTEN_SHARE * row.check_count:
        yield f"Give {row.gate} a longer window or more traffic: it was often Inconclusive."
    if _is_narrow(row):
        yield f"Watch {row.gate}: it passed with little room ({row.last.reason})."


def _rows(report: Report) -> Iterator[tuple[StepChecks, GateRow]]:
    for step in report.steps:
        for row in step.gates:
            yield step, row


def _count(report: Report, outcome: Outcome) -> tuple[int, int]:
    counts = [step.outcomes for step in report.steps]
    return sum(c.get(outcome, 0) for c in counts), sum(sum(c.values()) for c in counts)


def _format_share(row: GateRow, outcome: Outcome) -> str:
    return f"{row.outcomes[outcome]} of {row.check_count} checks"


def _rollback_name(rollback: Rollback) -> str:
    return "emergency rollback" if rollback.kind == "emergency" else "step back"


def _format_change(impact: MetricImpact) -> str:
    before, after = (format_value(v, impact.unit) for v in (impact.before, impact.after))
    return f"{before} → {after} ({impact.change:+.1%})"


def _is_narrow(row: GateRow) -> bool:
    value, limit = row.last.value, row.last.limit
    if row.last.outcome is not Outcome.SUCCESSFUL or value is None or not limit:
        return False
    return abs(value / limit - 1) < NARROW_MARGIN
