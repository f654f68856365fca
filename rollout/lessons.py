"""The sentences of the post-mortem (guide: Lessons Learned Template), each from something measured.

People add what no metric knows; nothing is claimed here that the record doesn't show.
"""

from collections.abc import Iterator

from rollout.gate import Model
from rollout.judge import format_value
from rollout.quantity import format_duration
from rollout.report import GateRow, Impact, Report, StepChecks
from rollout.state import Rollback
from rollout.verdict import Outcome

NOTABLE_CHANGE = 0.02
NARROW = 0.1
OFTEN = 0.2
_UNEXPECTED = ("note", "pause")


class Lessons(Model):
    """The guide's four lists of bullet points."""

    went_well: tuple[str, ...]
    went_wrong: tuple[str, ...]
    unexpected: tuple[str, ...]
    recommendations: tuple[str, ...]


def learn(report: Report) -> Lessons:
    """Write every list; one without anything to say is empty."""
    return Lessons(
        went_well=tuple(_went_well(report)),
        went_wrong=tuple(_went_wrong(report)),
        unexpected=tuple(_unexpected(report)),
        recommendations=tuple(dict.fromkeys(_recommendations(report))),
    )


def _went_well(report: Report) -> Iterator[str]:
    if report.ending == "Healthy":
        took = format_duration(report.took)
        yield f"The rollout reached {report.percentage_max:g} % and ended Healthy after {took}."
    passed = [event for event in report.events if event.kind == "promote"]
    if passed:
        yield f"Steps promoted: {len(passed)}, the last one {passed[-1].text}."
    good, total = _count(report, Outcome.SUCCESSFUL)
    if good:
        yield f"{good} of {total} checks were Successful."
    for impact in report.impacts:
        if impact.better and abs(impact.change or 0.0) >= NOTABLE_CHANGE:
            yield f"{impact.metric} improved: {_change(impact)}."
    for rollback in report.rollbacks:
        if rollback.confirmation:
            yield f"The {_kind(rollback)} was confirmed: {rollback.confirmation}."


def _went_wrong(report: Report) -> Iterator[str]:
    if report.ending == "Aborted":
        yield f"The rollout was aborted after {format_duration(report.took)}."
    for rollback in report.rollbacks:
        yield f"{_kind(rollback).capitalize()} from step {rollback.from_step}: {rollback.because}."
    for step, row in _rows(report):
        if row.outcomes.get(Outcome.FAILED) and not row.last.dry_run:
            yield f"{_share(row, Outcome.FAILED)} of {row.gate} in step {step.step} Failed."
    for impact in report.impacts:
        if impact.better is False and abs(impact.change or 0.0) >= NOTABLE_CHANGE:
            yield f"{impact.metric} got worse: {_change(impact)}."


def _unexpected(report: Report) -> Iterator[str]:
    for outcome in (Outcome.ERROR, Outcome.INCONCLUSIVE):
        for step, row in _rows(report):
            if row.outcomes.get(outcome):
                yield f"{_share(row, outcome)} of {row.gate} in step {step.step} were {outcome}."
    for event in report.events:
        if event.kind in _UNEXPECTED and event.actor == "sluice":
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
        yield f"Find out why {row.gate} failed before the next rollout ({row.last.because})."
    if row.outcomes.get(Outcome.ERROR):
        yield f"Make {row.gate} measurable at all times: checks of it ended in Error."
    if row.outcomes.get(Outcome.INCONCLUSIVE, 0) > OFTEN * row.checks:
        yield f"Give {row.gate} a longer window or more traffic: it was often Inconclusive."
    if _narrow(row):
        yield f"Watch {row.gate}: it passed with little room ({row.last.because})."


def _rows(report: Report) -> Iterator[tuple[StepChecks, GateRow]]:
    for step in report.steps:
        for row in step.gates:
            yield step, row


def _count(report: Report, outcome: Outcome) -> tuple[int, int]:
    counts = [step.outcomes for step in report.steps]
    return sum(c.get(outcome, 0) for c in counts), sum(sum(c.values()) for c in counts)


def _share(row: GateRow, outcome: Outcome) -> str:
    return f"{row.outcomes[outcome]} of {row.checks} checks"


def _kind(rollback: Rollback) -> str:
    return "emergency rollback" if rollback.kind == "emergency" else "step back"


def _change(impact: Impact) -> str:
    before, after = (format_value(v, impact.unit) for v in (impact.before, impact.after))
    return f"{before} → {after} ({impact.change:+.1%})"


def _narrow(row: GateRow) -> bool:
    value, limit = row.last.value, row.last.limit
    if row.last.outcome is not Outcome.SUCCESSFUL or value is None or not limit:
        return False
    return abs(value / limit - 1) < NARROW
