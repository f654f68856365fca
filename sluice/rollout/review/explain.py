"""Reasons for each decision: recorded reading, threshold, samples, window and rule.

Pure: the same record gives the same explanation, years later and without the plan at hand.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sluice.rollout.analysis.cohorts import ROUTER_COHORTS
from sluice.rollout.analysis.gate import (
    RELATIVE_KINDS,
    Gate,
    GateKind,
    Metric,
    Model,
    slope_query,
)
from sluice.rollout.analysis.judge import format_change
from sluice.rollout.analysis.value_format import format_value, gate_unit
from sluice.rollout.analysis.verdict import Check, Verdict
from sluice.rollout.engine.commands import Signer
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.runbook import runbook_for_finding
from sluice.rollout.engine.state import Finding
from sluice.rollout.units import format_duration

CHECK_EVENT_KINDS = ("check", "promote", "rollback", "pause", "approve")
FINDING_EVENT_KINDS = ("red_flag", "rollback", "pause", "note")


class RuleSummary(Model):
    """The gate that was applied, in words and as it was measured."""

    gate: str
    text: str
    window_seconds: float
    min_samples: int
    consecutive: int
    query: str
    guide: str


class VerdictEvidence(Model):
    """One verdict that a decision rests on; ``rule`` is None when the record doesn't hold it."""

    verdict: Verdict
    rule: RuleSummary | None


class Explanation(Model):
    """One decision. ``source`` names the check or red flag in the ledger; empty without one.

    ``runbook`` is the page that says what to do about it.
    """

    at: datetime
    kind: str
    text: str
    actor: str
    step: str | None
    percentage: float | None
    signer: Signer | None = None
    source: str = ""
    runbook: str = ""
    measured_at: datetime | None = None
    evidence: tuple[VerdictEvidence, ...] = ()


class RecordedCheck(Model):
    """A check with the rules it was judged by."""

    check: Check
    gates: tuple[Gate, ...]
    metrics: Mapping[str, Metric]


def explain(
    events: Sequence[Event], checks: Sequence[RecordedCheck], findings: Sequence[Finding]
) -> tuple[Explanation, ...]:
    """Explain every line of the timeline by the last measurement before it that it can rest on."""
    index = _CheckIndex(checks)
    return tuple(_explain_event(event, index, findings) for event in events)


class _CheckIndex:
    """Checks by time, all and by step, and the rules in words: most checks share them."""

    def __init__(self, checks: Sequence[RecordedCheck]) -> None:
        self._checks = sorted(checks, key=_check_time)
        self._by_step: dict[str, list[RecordedCheck]] = {}
        for record in self._checks:
            self._by_step.setdefault(record.check.step, []).append(record)
        self.metrics = {name: m for record in self._checks for name, m in record.metrics.items()}
        """The metrics that the checks measured; a finding records its gate only."""
        self._rules: dict[tuple[int, int], RuleSummary] = {}

    def last_before(self, at: datetime, step: str | None = None) -> RecordedCheck | None:
        """Return the last check until ``at``: of a step, or of all."""
        checks = self._checks if step is None else self._by_step.get(step, [])
        position = bisect_right(checks, at, key=_check_time)
        return checks[position - 1] if position else None

    def rule(self, gate: Gate, metric: Metric | None) -> RuleSummary:
        """Return the gate in words."""
        key = (id(gate), id(metric))
        if key not in self._rules:
            self._rules[key] = summarize_rule(gate, metric)
        return self._rules[key]


def _check_time(record: RecordedCheck) -> datetime:
    return record.check.at


def _explain_event(event: Event, index: _CheckIndex, findings: Sequence[Finding]) -> Explanation:
    source, runbook, measured_at, evidence = "", "", None, list[VerdictEvidence]()
    if finding := _matching_finding(event, findings):
        source, measured_at = finding.name, finding.seen_at
        runbook = runbook_for_finding(finding)
        gate = finding.gate
        rule = index.rule(gate, index.metrics.get(gate.metric)) if gate else None
        evidence = [VerdictEvidence(verdict=finding.verdict, rule=rule)]
    elif recorded_check := _matching_check(event, index):
        source, measured_at = recorded_check.check.id, recorded_check.check.at
        evidence = list(_verdict_evidence(recorded_check, index))
    return Explanation(
        **event.model_dump(exclude={"proof", "finding", "evidence", "position", "digest"}),
        source=source,
        runbook=runbook,
        measured_at=measured_at,
        evidence=tuple(evidence),
    )


def _matching_finding(event: Event, findings: Sequence[Finding]) -> Finding | None:
    """Return the last red flag whose sentence the decision repeats; None without one."""
    if event.kind not in FINDING_EVENT_KINDS:
        return None
    fits = [f for f in findings if f.seen_at <= event.at and f.verdict.reason in event.text]
    return fits[-1] if fits else None


def _matching_check(event: Event, index: _CheckIndex) -> RecordedCheck | None:
    if event.kind not in CHECK_EVENT_KINDS or event.step is None:
        return None
    # An approval is given before the step begins, on what the one before it showed.
    return index.last_before(event.at, None if event.kind == "approve" else event.step)


def _verdict_evidence(
    recorded_check: RecordedCheck, index: _CheckIndex
) -> Iterator[VerdictEvidence]:
    gates = {gate.name: gate for gate in recorded_check.gates}
    for verdict in recorded_check.check.verdicts:
        gate = gates.get(verdict.gate)
        metric = recorded_check.metrics.get(gate.metric) if gate else None
        rule = index.rule(gate, metric) if gate else None
        yield VerdictEvidence(verdict=verdict, rule=rule)


def summarize_rule(gate: Gate, metric: Metric | None) -> RuleSummary:
    """Put a gate into words; the query is there when the metric is known."""
    query = metric.value_query(gate, gate.cohort) if metric else ""
    return RuleSummary(
        gate=gate.name,
        text=", ".join(_rule_phrases(gate, metric)),
        window_seconds=gate.window.total_seconds(),
        min_samples=gate.min_samples,
        consecutive=gate.consecutive,
        query=slope_query(query, gate) if query and gate.kind is GateKind.TREND else query,
        guide=gate.guide,
    )


def _name_cohort(gate: Gate, metric: Metric | None) -> str:
    """Return the gate's cohort, with the label and value that stand for it in the team's metrics."""
    if metric is None or metric.cohorts == ROUTER_COHORTS or gate.cohort == "all":
        return gate.cohort
    return f"{gate.cohort}: {metric.cohorts.label}={metric.cohorts.value(gate.cohort)}"


def _rule_phrases(gate: Gate, metric: Metric | None) -> Iterator[str]:
    unit = gate_unit(gate, metric) if metric else ""
    limit = format_value(gate.threshold, unit)
    if gate.kind in RELATIVE_KINDS:
        against = "recorded baseline" if gate.kind is GateKind.BASELINE else "control cohort"
        limit = f"{against} {format_change(gate)}"
    slope_of = "slope of " if gate.kind is GateKind.TREND else ""
    yield f"{slope_of}{gate.metric} ({_name_cohort(gate, metric)}) {gate.direction} {limit}"
    if gate.floor is not None:
        yield f"never stricter than {format_value(gate.floor, unit)}"
    yield f"over {format_duration(gate.window)}"
    if gate.min_samples:
        yield f"at least {gate.min_samples} samples, else {gate.on_inconclusive}"
    if gate.consecutive > 1:
        yield f"{gate.consecutive} times in a row"
    yield f"no data: {gate.on_no_data}"
    if gate.dry_run:
        yield "dry run"
