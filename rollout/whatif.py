"""What if the rules had been others: recorded readings judged again, and decided on again.

Pure: judged by ``rollout.judge``, decided by ``rollout.decide``, as the rollout itself was.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rollout.edits import Edit, Rule, edited
from rollout.explain import Judged
from rollout.gate import RELATIVE, Gate, GateKind, Metric, Model
from rollout.judge import judge
from rollout.plan import RolloutPlan
from rollout.reading import Measured, Reading
from rollout.state import Event, Finding
from rollout.verdict import Check, Outcome, Verdict

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""For readings that are made of verdicts: nothing is judged by their time."""
UNKNOWN_SAMPLES = "how many samples the control cohort had was not recorded"


class Change(Model):
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


def taken(findings: Sequence[Finding], events: Sequence[Event]) -> list[Finding]:
    """Those that the rollout heard of: its timeline tells each.

    A watch that was just stopped may still find the rollout's own next change, and record that.
    """
    told = [event for event in events if event.kind == "red_flag"]
    return [
        one
        for one in findings
        if any(e.at >= one.seen_at and e.text.endswith(one.verdict.because) for e in told)
    ]


def rules_of(
    checks: Sequence[Judged], findings: Sequence[tuple[str, Finding]], plan: RolloutPlan | None
) -> list[Rule]:
    """Every rule that can be edited: those that were judged by, and the plan's where it is known."""
    found = [Rule(c.check.step, "gates", gate) for c in checks for gate in c.gates]
    for step, finding in findings:
        if finding.gate is not None:
            found.append(Rule(step, "red_flags", finding.gate))
    for one in plan.steps if plan else ():
        found += [Rule(one.name, "gates", gate) for gate in one.gates]
        found += [Rule(one.name, "red_flags", gate) for gate in one.red_flags]
    return list(dict.fromkeys(found))


def judged_again(
    checks: Sequence[Judged], edits: Sequence[Edit]
) -> Iterator[tuple[Judged, list[Change]]]:
    """Each check as it would have been, with what became of every verdict that an edit touches."""
    for one in checks:
        gates = {gate.name: gate for gate in one.gates}
        verdicts, changes = [], list[Change]()
        for verdict in one.check.verdicts:
            mine = [e for e in edits if (e.step, e.gate) == (one.check.step, verdict.gate)]
            gate = gates.get(verdict.gate)
            if not mine or gate is None:
                verdicts.append(verdict)
                continue
            after, unknown = again(verdict, (gate, edited(gate, mine)), one.metrics)
            verdicts.append(after)
            changes.append(
                Change(
                    at=one.check.at, step=one.check.step, source=one.check.id,
                    before=verdict, after=after, unknown=unknown,
                )
            )  # fmt: skip
        check = one.check.model_copy(update={"verdicts": tuple(verdicts)})
        yield one.model_copy(update={"check": check}), changes


def again(
    verdict: Verdict, gates: tuple[Gate, Gate], metrics: Mapping[str, Metric]
) -> tuple[Verdict, str]:
    """One recorded verdict by the rule after the edit; and why that can't be told, if it can't."""
    before, after = gates
    shown = {"dry_run": after.dry_run, "severity": after.severity}
    metric = metrics.get(after.metric)
    if verdict.outcome is Outcome.ERROR or after.kind is GateKind.STATISTICAL:
        return verdict.model_copy(update=shown), ""
    if metric is None:
        return verdict, f"what {after.metric} is was not recorded"
    if unknown := _unknown(verdict, before, after):
        return verdict.model_copy(update=shown), unknown
    judged = judge(after, metric, _measured(verdict, before, after))
    if verdict.value is None and judged.outcome is verdict.outcome:
        judged = judged.model_copy(
            update={"because": verdict.because}
        )  # it says why there was none
    return judged, ""


def _unknown(verdict: Verdict, before: Gate, after: Gate) -> str:
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
    few = ": only " in verdict.because
    if not few and after.min_samples <= before.min_samples:
        return ""
    still_few = _few_of_control(verdict) and after.min_samples >= before.min_samples
    return "" if still_few else UNKNOWN_SAMPLES


def _few_of_control(verdict: Verdict) -> bool:
    return ": only " in verdict.because and verdict.because.endswith("control cohort")


def _measured(verdict: Verdict, before: Gate, after: Gate) -> Measured:
    common = {"metric": after.metric, "at": LONG_AGO}
    reading = Reading.model_validate(
        {**common, "cohort": after.cohort, "value": verdict.value, "samples": verdict.samples}
    )
    if after.kind not in RELATIVE or verdict.reference is None:
        return Measured(reading=reading)
    samples = None
    if after.kind is GateKind.CONTROL and before.min_samples:
        samples = before.min_samples - _few_of_control(verdict)
    reference = {**common, "cohort": "control", "value": verdict.reference, "samples": samples}
    return Measured(reading=reading, reference=Reading.model_validate(reference))


def found_again(
    step: str, finding: Finding, edits: Sequence[Edit], plan: RolloutPlan | None
) -> Change:
    """A red flag that fired, by the edited rule: would it have, on the same reading?"""
    mine = [edit for edit in edits if (edit.step, edit.gate) == (step, finding.name)]
    after, unknown = finding.verdict, ""
    if mine and finding.gate is not None:
        metrics = plan.metrics if plan else {}
        after, unknown = again(finding.verdict, (finding.gate, edited(finding.gate, mine)), metrics)
    return Change(
        at=finding.seen_at, step=step, source=f"red flag {finding.name}",
        before=finding.verdict, after=after, unknown=unknown,
    )  # fmt: skip


def fires(change: Change) -> bool:
    """Whether the watch would have reported it."""
    return change.after.outcome is Outcome.FAILED and not change.after.dry_run


def as_checks(judged: Sequence[Judged]) -> list[Check]:
    """The checks alone, oldest first."""
    return sorted((one.check for one in judged), key=lambda check: check.at)
