"""Pure judgement: a gate and its readings in, a verdict out ."""

from sluice.rollout.analysis.gate import RELATIVE_KINDS, Gate, GateKind, Metric
from sluice.rollout.analysis.reading import GateReadings, Reading
from sluice.rollout.analysis.value_format import format_distinct, format_value, gate_unit
from sluice.rollout.analysis.verdict import Outcome, Verdict

EVENTS_SLACK = 0.5
"""A share times its samples is a whole number of events, but for Prometheus' extrapolation."""


def judge(gate: Gate, metric: Metric, readings: GateReadings) -> Verdict:
    """Judge one gate. Only a usable reading with enough samples can be Successful."""
    reading, reference = readings.reading, readings.reference
    if problem := _data_problem(gate, reading, reference):
        outcome, reason = problem
        verdict = _verdict(gate, metric, readings, outcome, f"{gate.name}: {reason}")
        return verdict.model_copy(update={"is_unmeasured": _is_unmeasured(gate, readings)})
    assert reading.value is not None  # noqa: S101  _problem has refused None
    limit = _limit(gate, reference)
    is_within_limit = _is_within_limit(gate, reading.value, limit)
    outcome = Outcome.SUCCESSFUL if is_within_limit else Outcome.FAILED
    reason = _message(gate, metric, readings, is_within_limit)
    events = reading.value * (reading.samples or 0.0)
    if not is_within_limit and gate.min_events and events < gate.min_events - EVENTS_SLACK:
        outcome = _policy_outcome(gate.on_inconclusive)
        reason += f", but only {events:.0f} of {gate.min_events} events"
    return _verdict(gate, metric, readings, outcome, reason)


def _is_within_limit(gate: Gate, value: float, limit: float) -> bool:
    if gate.direction == "above":
        return value >= limit
    # "below 1 s" is strict; "no worse than the reference" is not: 0 errors are as good as 0 errors.
    return value <= limit if gate.kind in RELATIVE_KINDS else value < limit


def _data_problem(
    gate: Gate, reading: Reading, reference: Reading | None
) -> tuple[Outcome, str] | None:
    for source, measured in (("", reading), (_reference_name(gate), reference)):
        if measured is None:
            if gate.kind in RELATIVE_KINDS and source:
                return _no_data(gate, f"no {source} to compare with")
            continue
        if measured.error:
            return Outcome.ERROR, f"could not measure {source}: {measured.error}".replace(" :", ":")
        if not measured.is_usable:
            stale_text = f": {measured.stale_reason}" if measured.stale else ""
            return _no_data(gate, f"no data {source}".rstrip() + stale_text)
        if measured.samples is not None and measured.samples < gate.min_samples:
            count_text = f"{measured.samples:.0f} of {gate.min_samples} samples {source}".rstrip()
            return _policy_outcome(gate.on_inconclusive), f"only {count_text}"
        if measured.samples is None and gate.min_samples and source != "recorded baseline":
            return _policy_outcome(gate.on_inconclusive), "sample count is unknown"
    return None


def _is_unmeasured(gate: Gate, readings: GateReadings) -> bool:
    """Return True when a reading failed or has no data, but not for a cohort without traffic."""
    reading, reference = readings.reading, readings.reference
    if reading.error or reading.stale:
        return True
    if not reading.is_usable:
        return reading.samples != 0 or reading.samples_missing
    if reference is None:
        return gate.kind in RELATIVE_KINDS
    return not reference.is_usable


def _no_data(gate: Gate, reason: str) -> tuple[Outcome, str]:
    return _policy_outcome(gate.on_no_data), reason


def _policy_outcome(policy: str) -> Outcome:
    return Outcome.FAILED if policy == "fail" else Outcome.INCONCLUSIVE


def _reference_name(gate: Gate) -> str:
    names = {GateKind.BASELINE: "recorded baseline", GateKind.CONTROL: "control cohort"}
    return names.get(gate.kind, "")


def _limit(gate: Gate, reference: Reading | None) -> float:
    if gate.kind in RELATIVE_KINDS and reference is not None and reference.value is not None:
        limit = reference.value + gate.threshold * abs(reference.value)
        if gate.floor is None:
            return limit
        return max(limit, gate.floor) if gate.direction == "below" else min(limit, gate.floor)
    return gate.threshold


def _message(gate: Gate, metric: Metric, measured: GateReadings, is_within_limit: bool) -> str:
    reading, reference = measured.reading, measured.reference
    unit = gate_unit(gate, metric)
    value, limit = format_distinct((reading.value, _limit(gate, reference)), unit)
    side = {True: "is", False: "is not"}[is_within_limit]
    text = f"{gate.name} {value} {side} {gate.direction} {limit}"
    if gate.kind in RELATIVE_KINDS and reference is not None:
        text += f" ({_reference_name(gate)} {format_value(reference.value, metric.unit)}"
        text += f" {format_change(gate)})"
    if reading.samples is not None:
        text += f", {reading.samples:.0f} samples"
    return text


def _verdict(
    gate: Gate, metric: Metric, measured: GateReadings, outcome: Outcome, reason: str
) -> Verdict:
    reading, reference = measured.reading, measured.reference
    comparable = reference is None or reference.is_usable
    has_limit = gate.kind not in RELATIVE_KINDS or (reference is not None and comparable)
    return Verdict(
        gate=gate.name,
        outcome=outcome,
        reason=reason,
        value=reading.value if reading.is_usable else None,
        limit=_limit(gate, reference) if has_limit else None,
        reference=reference.value if reference is not None and comparable else None,
        samples=reading.samples,
        unit=gate_unit(gate, metric),
        direction=gate.direction,
        dry_run=gate.dry_run,
        severity=gate.severity,
    )


def format_change(gate: Gate) -> str:
    """Format the change of a relative gate as plans write it: ``+10%``, ``+0.5%``."""
    return f"{round(100 * gate.threshold, 6):+g}%"
