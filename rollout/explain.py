"""Why each decision was taken: reading, threshold, samples, window and rule, from what was recorded.

Pure: the same record gives the same explanation, years later and without the plan at hand.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rollout.gate import RELATIVE, Gate, GateKind, Metric, Model, expression, slope
from rollout.judge import change, format_value
from rollout.quantity import format_duration
from rollout.runbook import runbook_of
from rollout.state import Event, Finding
from rollout.verdict import Check, Verdict

FROM_A_CHECK = ("check", "promote", "rollback", "pause", "approve")
FROM_A_FINDING = ("red_flag", "rollback", "pause", "note")


class Rule(Model):
    """The gate that was applied, in words and as it was measured."""

    gate: str
    text: str
    window_seconds: float
    min_samples: int
    consecutive: int
    query: str
    guide: str


class Evidence(Model):
    """One verdict that a decision rests on; ``rule`` is None when the record doesn't hold it."""

    verdict: Verdict
    rule: Rule | None


class Explained(Model):
    """One decision. ``source`` names the check or red flag in the ledger; empty without one.

    ``runbook`` is the page that says what to do about it.
    """

    at: datetime
    kind: str
    text: str
    actor: str
    step: str | None
    percentage: float | None
    source: str = ""
    runbook: str = ""
    measured_at: datetime | None = None
    evidence: tuple[Evidence, ...] = ()


class Judged(Model):
    """A check with the rules it was judged by."""

    check: Check
    gates: tuple[Gate, ...]
    metrics: Mapping[str, Metric]


def explain(
    events: Sequence[Event], checks: Sequence[Judged], findings: Sequence[Finding]
) -> tuple[Explained, ...]:
    """Explain every line of the timeline by the last measurement before it that it can rest on."""
    return tuple(_explained(event, checks, findings) for event in events)


def _explained(event: Event, checks: Sequence[Judged], findings: Sequence[Finding]) -> Explained:
    source, runbook, measured_at, evidence = "", "", None, list[Evidence]()
    if finding := _finding(event, findings):
        source, measured_at = finding.name, finding.seen_at
        runbook = runbook_of(finding)
        rule = rule_of(finding.gate, None) if finding.gate else None
        evidence = [Evidence(verdict=finding.verdict, rule=rule)]
    elif judged := _check(event, checks):
        source, measured_at = judged.check.id, judged.check.at
        evidence = list(_evidence(judged))
    return Explained(
        **event.model_dump(),
        source=source,
        runbook=runbook,
        measured_at=measured_at,
        evidence=tuple(evidence),
    )


def _finding(event: Event, findings: Sequence[Finding]) -> Finding | None:
    """The red flag whose sentence the decision repeats."""
    if event.kind not in FROM_A_FINDING:
        return None
    fits = [f for f in findings if f.seen_at <= event.at and f.verdict.because in event.text]
    return fits[-1] if fits else None


def _check(event: Event, checks: Sequence[Judged]) -> Judged | None:
    if event.kind not in FROM_A_CHECK or event.step is None:
        return None
    before = [one for one in checks if one.check.at <= event.at]
    mine = [one for one in before if one.check.step == event.step]
    if event.kind == "approve":  # given before the step begins, on what the one before it showed
        mine = before
    return mine[-1] if mine else None


def _evidence(judged: Judged) -> Iterator[Evidence]:
    gates = {gate.name: gate for gate in judged.gates}
    for verdict in judged.check.verdicts:
        gate = gates.get(verdict.gate)
        metric = judged.metrics.get(gate.metric) if gate else None
        yield Evidence(verdict=verdict, rule=rule_of(gate, metric) if gate else None)


def rule_of(gate: Gate, metric: Metric | None) -> Rule:
    """Put a gate into words; the query is there when the metric is known."""
    query = expression(metric.query, gate, gate.cohort) if metric else ""
    return Rule(
        gate=gate.name,
        text=", ".join(_words(gate, metric)),
        window_seconds=gate.window.total_seconds(),
        min_samples=gate.min_samples,
        consecutive=gate.consecutive,
        query=slope(query, gate) if query and gate.kind is GateKind.TREND else query,
        guide=gate.guide,
    )


def _words(gate: Gate, metric: Metric | None) -> Iterator[str]:
    unit = metric.unit if metric and gate.kind is not GateKind.TREND else ""
    limit = format_value(gate.threshold, unit)
    if gate.kind in RELATIVE:
        against = "recorded baseline" if gate.kind is GateKind.BASELINE else "control cohort"
        limit = f"{against} {change(gate)}"
    slope_of = "slope per hour of " if gate.kind is GateKind.TREND else ""
    yield f"{slope_of}{gate.metric} ({gate.cohort}) {gate.direction} {limit}"
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
