"""Recorded readings, judged and decided on again by edited rules.

Pure: judged by ``sluice.rollout.analysis.judge``, decided by ``sluice.rollout.engine.decide``, as the rollout itself was.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sluice.rollout.analysis.gate import RELATIVE_KINDS, Gate, GateKind, Metric, Model
from sluice.rollout.analysis.judge import judge
from sluice.rollout.analysis.reading import GateReadings, Reading
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.state import Finding
from sluice.rollout.plan.overrides import Override, RuleRef, with_overrides
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.explain import RecordedCheck

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""For readings that are made of verdicts: nothing is judged by their time."""
UNKNOWN_SAMPLES = "how many samples the control cohort had was not recorded"


class VerdictChange(Model):
    """One verdict before and after; ``unknown`` says why it can't be judged again (then it stays)."""

    at: datetime
    step: str
    source: str
    before: Verdict
    after: Verdict
    unknown: str = ""

    @property
    def differs(self) -> bool:
        return self.before.outcome is not self.after.outcome


def editable_rules(
    checks: Sequence[RecordedCheck],
    findings: Sequence[tuple[str, Finding]],
    plan: RolloutPlan | None,
) -> list[RuleRef]:
    """Return every editable rule: the recorded ones, and those of the plan where it is known."""
    rules = [RuleRef(c.check.step, "gates", gate) for c in checks for gate in c.gates]
    for step_name, finding in findings:
        if finding.gate is not None:
            rules.append(RuleRef(step_name, "red_flags", finding.gate))
    for step in plan.steps if plan else ():
        rules += [RuleRef(step.name, "gates", gate) for gate in step.gates]
        rules += [RuleRef(step.name, "red_flags", gate) for gate in step.red_flags]
    return list(dict.fromkeys(rules))


def rejudge_checks(
    checks: Sequence[RecordedCheck], overrides: Sequence[Override]
) -> Iterator[tuple[RecordedCheck, list[VerdictChange]]]:
    """Yield each check by the edited rules, with every verdict that an edit concerns."""
    for recorded in checks:
        gates = {gate.name: gate for gate in recorded.gates}
        verdicts, changes = [], list[VerdictChange]()
        for verdict in recorded.check.verdicts:
            verdict_overrides = [
                e for e in overrides if (e.step, e.gate) == (recorded.check.step, verdict.gate)
            ]
            gate = gates.get(verdict.gate)
            if not verdict_overrides or gate is None:
                verdicts.append(verdict)
                continue
            after, unknown = rejudge(
                verdict, (gate, with_overrides(gate, verdict_overrides)), recorded.metrics
            )
            verdicts.append(after)
            changes.append(
                VerdictChange(
                    at=recorded.check.at, step=recorded.check.step, source=recorded.check.id,
                    before=verdict, after=after, unknown=unknown,
                )
            )  # fmt: skip
        check = recorded.check.model_copy(update={"verdicts": tuple(verdicts)})
        yield recorded.model_copy(update={"check": check}), changes


def rejudge(
    verdict: Verdict, gates: tuple[Gate, Gate], metrics: Mapping[str, Metric]
) -> tuple[Verdict, str]:
    """Judge one recorded verdict by the edited rule; the text says why that is impossible, if it is.

    ``gates`` are the rule before and after the edit.
    """
    before, after = gates
    rule_fields = {"dry_run": after.dry_run, "severity": after.severity}
    metric = metrics.get(after.metric)
    if verdict.outcome is Outcome.ERROR or after.kind is GateKind.STATISTICAL:
        return verdict.model_copy(update=rule_fields), ""
    if metric is None:
        return verdict, f"what {after.metric} is was not recorded"
    if unknown := _unknown_reason(verdict, before, after):
        return verdict.model_copy(update=rule_fields), unknown
    new_verdict = judge(after, metric, _recorded_readings(verdict, before, after))
    if verdict.value is None and new_verdict.outcome is verdict.outcome:
        new_verdict = new_verdict.model_copy(
            update={"reason": verdict.reason}
        )  # it says why there was none
    return new_verdict, ""


def _unknown_reason(verdict: Verdict, before: Gate, after: Gate) -> str:
    """Of the control's samples only the consequence is recorded: enough for the old rule, or not."""
    compared = verdict.value is not None and verdict.reference is not None
    if (
        after.kind is not GateKind.CONTROL
        or not compared
        or after.min_samples == before.min_samples
    ):
        return ""
    if verdict.samples is not None and verdict.samples < after.min_samples:
        return ""  # too few of its own, whatever control had
    is_too_few = ": only " in verdict.reason
    if not is_too_few and after.min_samples <= before.min_samples:
        return ""
    still_few = _has_few_control_samples(verdict) and after.min_samples >= before.min_samples
    return "" if still_few else UNKNOWN_SAMPLES


def _has_few_control_samples(verdict: Verdict) -> bool:
    return ": only " in verdict.reason and verdict.reason.endswith("control cohort")


def _recorded_readings(verdict: Verdict, before: Gate, after: Gate) -> GateReadings:
    common = {"metric": after.metric, "at": EPOCH}
    reading = Reading.model_validate(
        {**common, "cohort": after.cohort, "value": verdict.value, "samples": verdict.samples}
    )
    if after.kind not in RELATIVE_KINDS or verdict.reference is None:
        return GateReadings(reading=reading)
    samples = None
    if after.kind is GateKind.CONTROL and before.min_samples:
        samples = before.min_samples - _has_few_control_samples(verdict)
    reference = {**common, "cohort": "control", "value": verdict.reference, "samples": samples}
    return GateReadings(reading=reading, reference=Reading.model_validate(reference))


def rejudge_finding(
    step: str, finding: Finding, overrides: Sequence[Override], plan: RolloutPlan | None
) -> VerdictChange:
    """Judge a red flag that fired by its edited rule, on the same reading."""
    finding_overrides = [
        edit for edit in overrides if (edit.step, edit.gate) == (step, finding.name)
    ]
    after, unknown = finding.verdict, ""
    if finding_overrides and finding.gate is not None:
        metrics = plan.metrics if plan else {}
        after, unknown = rejudge(
            finding.verdict,
            (finding.gate, with_overrides(finding.gate, finding_overrides)),
            metrics,
        )
    return VerdictChange(
        at=finding.seen_at, step=step, source=f"red flag {finding.name}",
        before=finding.verdict, after=after, unknown=unknown,
    )  # fmt: skip


def would_fire(change: VerdictChange) -> bool:
    """Return True if the watch would have reported the red flag."""
    return change.after.outcome is Outcome.FAILED and not change.after.dry_run


def sorted_checks(records: Sequence[RecordedCheck]) -> list[Check]:
    """Return the checks alone, oldest first."""
    return sorted((record.check for record in records), key=lambda check: check.at)
