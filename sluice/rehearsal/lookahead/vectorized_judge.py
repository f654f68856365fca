"""``sluice.rollout.analysis.judge`` over whole arrays: a rehearsal judges millions of readings.

``tests/unit/rehearsal/test_vectorized_judge.py`` compares it with ``sluice.rollout.analysis.judge.judge`` for every reading.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sluice.rehearsal.arrays import Floats
from sluice.rollout.analysis.gate import RELATIVE_KINDS, Gate, GateKind
from sluice.rollout.analysis.judge import EVENTS_SLACK
from sluice.rollout.analysis.reading import Reading

OutcomeCodes = NDArray[np.int8]


class OutcomeCode(IntEnum):
    """The outcomes as small integers; an Error is raised instead."""

    SUCCESSFUL = 0
    INCONCLUSIVE = 1
    FAILED = 3


@dataclass(frozen=True)
class SampleColumn:
    """Readings of one query at many times; NaN means no data. ``samples`` is None without such a query."""

    values: Floats
    samples: Floats | None = None


def judge_column(
    gate: Gate, reading: SampleColumn, reference: SampleColumn | None = None
) -> OutcomeCodes:
    """Judge every reading; ``reference`` belongs to baseline and control gates."""
    codes = _compare_to_limits(gate, reading.values, _limits(gate, reference))
    if gate.min_events and reading.samples is not None:
        too_few = reading.values * np.nan_to_num(reading.samples) < gate.min_events - EVENTS_SLACK
        codes[too_few & (codes == OutcomeCode.FAILED)] = _policy_code(gate.on_inconclusive)
    relative = gate.kind in RELATIVE_KINDS
    if relative and reference is None:
        codes[:] = _policy_code(gate.on_no_data)
    if relative and reference is not None:
        _overwrite_unjudgeable(gate, reference, codes, counted=gate.kind is not GateKind.BASELINE)
    _overwrite_unjudgeable(gate, reading, codes, counted=True)
    return codes


def firing_mask(gate: Gate, codes: OutcomeCodes, tick_seconds: float) -> NDArray[np.bool_]:
    """Return a mask of the ticks at which the watch returns: ``consecutive`` failures in a row.

    Failures are counted as ``sluice.rollout.analysis.failure_runs`` does, in whole windows.
    """
    fired: NDArray[np.bool_] = codes == OutcomeCode.FAILED
    if gate.consecutive == 1:
        return fired
    window, count, counted_at = gate.window.total_seconds() / tick_seconds, 0, 0
    for tick in np.flatnonzero(codes != OutcomeCode.INCONCLUSIVE):
        if codes[tick] == OutcomeCode.SUCCESSFUL:
            count = 0
        elif not count or tick - counted_at >= window:
            count, counted_at = count + 1, int(tick)
        fired[tick] = fired[tick] and count >= gate.consecutive
    return fired


def prefilter(gate: Gate, baseline: Reading | None) -> tuple[str, float] | None:
    """Return PromQL's comparison and the limit beyond which every failing value lies.

    None when the limit varies or is unknown, or when other values may fail too.
    """
    if gate.kind is GateKind.CONTROL or "fail" in (gate.on_no_data, gate.on_inconclusive):
        return None
    reference = None
    if gate.kind is GateKind.BASELINE:
        if baseline is None or baseline.value is None:
            return None
        reference = SampleColumn(np.array([baseline.value]))
    limit = float(_limits(gate, reference)[0])
    if gate.direction == "above":
        return "<", limit
    return (">" if gate.kind in RELATIVE_KINDS else ">="), limit


def _limits(gate: Gate, reference: SampleColumn | None) -> Floats:
    if gate.kind not in RELATIVE_KINDS or reference is None:
        return np.full(1, gate.threshold)
    limits = reference.values + gate.threshold * np.abs(reference.values)
    if gate.floor is None:
        return limits
    choose = np.maximum if gate.direction == "below" else np.minimum
    return choose(limits, gate.floor)


def _compare_to_limits(gate: Gate, values: Floats, limits: Floats) -> OutcomeCodes:
    if gate.direction == "above":
        is_within = values >= limits
    else:
        is_within = values <= limits if gate.kind in RELATIVE_KINDS else values < limits
    return np.where(is_within, OutcomeCode.SUCCESSFUL, OutcomeCode.FAILED).astype(np.int8)


def _overwrite_unjudgeable(
    gate: Gate, column: SampleColumn, codes: OutcomeCodes, *, counted: bool
) -> None:
    """Overwrite the outcomes without data or with too few samples."""
    if column.samples is not None:
        too_few = np.nan_to_num(column.samples) < gate.min_samples
        codes[np.broadcast_to(too_few, codes.shape)] = _policy_code(gate.on_inconclusive)
    elif gate.min_samples and counted:
        codes[:] = _policy_code(gate.on_inconclusive)
    empty = ~np.isfinite(column.values)
    codes[np.broadcast_to(empty, codes.shape)] = _policy_code(gate.on_no_data)


def _policy_code(policy: str) -> OutcomeCode:
    return OutcomeCode.FAILED if policy == "fail" else OutcomeCode.INCONCLUSIVE
