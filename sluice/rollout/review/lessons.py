"""The sentences of the post-mortem (guide: Lessons Learned Template), each from something measured.

People add what no metric knows; nothing is claimed here that the record doesn't show.
"""

from collections.abc import Iterator

from sluice.rollout.analysis.gate import RELATIVE_KINDS, GateKind, Model
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine.state import Rollback, RollbackKind
from sluice.rollout.review.blast_radius import BlastRadius
from sluice.rollout.review.report import GateRow, Report, StepChecks
from sluice.rollout.units import format_elapsed

NARROW_MARGIN = 0.1
OFTEN_SHARE = 0.2
PRODUCT_ACTOR = "sluice"
_UNEXPECTED_KINDS = ("note", "pause")
_ROLLBACK_NAMES = {
    RollbackKind.EMERGENCY: "emergency rollback",
    RollbackKind.STEP_BACK: "step back",
    RollbackKind.GRACEFUL: "graceful rollback",
    RollbackKind.CODE: "code rollback",
}


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
        unexpected=tuple(_unexpected_issues(report)),
        recommendations=tuple(dict.fromkeys(_recommendations(report))),
    )


def _went_well(report: Report) -> Iterator[str]:
    if report.ending == "Healthy":
        took = format_elapsed(report.duration)
        yield f"The rollout reached {report.percentage_max:g} % and ended Healthy after {took}."
    passed = [event for event in report.events if event.kind == "promote"]
    if passed:
        yield f"Steps promoted: {len(passed)}, the last one {passed[-1].text}."
    successful_count, total = _count(report, Outcome.SUCCESSFUL)
    if successful_count:
        yield f"{successful_count} of {total} checks {_was_or_were(successful_count)} Successful."
    for comparison in report.comparisons:
        if comparison.is_improvement:
            yield f"{comparison.metric} improved: {comparison.text}."
    for rollback in report.rollbacks:
        if rollback.confirmation:
            yield f"The {_rollback_name(rollback)} was confirmed: {rollback.confirmation}."


def _went_wrong(report: Report) -> Iterator[str]:
    if report.ending == "Aborted":
        yield f"The rollout was aborted after {format_elapsed(report.duration)}."
    for rollback in report.rollbacks:
        name = _rollback_name(rollback).capitalize()
        yield f"{name} from step {rollback.from_step}: {rollback.reason}."
    for radius in report.blast_radii:
        yield f"{describe_blast_radius(radius)}."
    for step, row in _rows(report):
        if row.outcomes.get(Outcome.FAILED) and not row.last.dry_run:
            yield f"{_format_share(row, Outcome.FAILED)} of {row.gate} in step {step.step} Failed."
    for comparison in report.comparisons:
        if comparison.is_improvement is False:
            yield f"{comparison.metric} got worse: {comparison.text}."


def _unexpected_issues(report: Report) -> Iterator[str]:
    for outcome in (Outcome.ERROR, Outcome.INCONCLUSIVE):
        for step, row in _rows(report):
            if row.outcomes.get(outcome):
                verb = _was_or_were(row.outcomes[outcome])
                share = _format_share(row, outcome)
                yield f"{share} of {row.gate} in step {step.step} {verb} {outcome}."
    for event in report.events:
        if event.kind in _UNEXPECTED_KINDS and event.actor == PRODUCT_ACTOR:
            yield f"{event.text}."


def _recommendations(report: Report) -> Iterator[str]:
    for _, row in _rows(report):
        yield from _advice(row)
    for rollback in report.rollbacks:
        # A person's kill, a write of somebody else or missing data cannot be rehearsed.
        if rollback.finding is not None and rollback.finding.kind == "red_flag":
            yield f"Rehearse the cause of {rollback.finding.name} before raising traffic again."


def _advice(row: GateRow) -> Iterator[str]:
    if row.outcomes.get(Outcome.FAILED) and row.last.dry_run:
        yield f"Dry run of {row.gate} would have failed: correct its threshold, or enforce it."
    elif row.last_failed is not None:
        yield f"Find out why {row.gate} failed before the next rollout ({row.last_failed.reason})."
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


def _was_or_were(count: int) -> str:
    return "was" if count == 1 else "were"


def _rollback_name(rollback: Rollback) -> str:
    return _ROLLBACK_NAMES[rollback.kind]


def describe_blast_radius(radius: BlastRadius) -> str:
    """Describe the exposure that a rollback ended: users, queries, and the detection delay."""
    share = f"{radius.percentage:g} % of users"
    if radius.users is not None:
        share += f" (about {radius.users:,.0f})"
    parts = [f"Exposed to step {radius.step}: {share} for {format_elapsed(radius.exposed_for)}"]
    if radius.queries is not None and radius.queries_since_good is not None:
        parts.append(
            f"about {radius.queries:,.0f} queries, {radius.queries_since_good:,.0f} of them "
            "since the last good check"
        )
    parts.append(f"detected within {format_elapsed(radius.detection_delay)} of it")
    return "; ".join(parts)


def _is_narrow(row: GateRow) -> bool:
    value, limit = row.last.value, row.last.limit
    if row.last.outcome is not Outcome.SUCCESSFUL or value is None or limit is None:
        return False
    room = _room(row.last, row.kind)
    return room > 0 and abs(value - limit) < NARROW_MARGIN * room


def _room(verdict: Verdict, kind: GateKind) -> float:
    """Return the distance from the limit to a reading that could not be better.

    That is the reference of a relative gate, 100 % of a share that must be high, else zero.
    """
    limit = verdict.limit or 0.0
    if kind in RELATIVE_KINDS:
        return abs(limit - verdict.reference) if verdict.reference is not None else 0.0
    if kind is not GateKind.ABSOLUTE:
        return 0.0
    is_high_share = verdict.unit == "ratio" and verdict.direction == "above"
    return 1 - limit if is_high_share else abs(limit)
