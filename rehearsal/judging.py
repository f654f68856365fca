"""``rollout.judge`` over whole arrays: a rehearsal judges millions of readings.

``tests/unit/test_rehearsal_judging.py`` holds it equal to ``rollout.judge.judge``, reading by reading.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rehearsal.arrays import Floats
from rollout.gate import RELATIVE, Gate, GateKind
from rollout.reading import Reading

Codes = NDArray[np.int8]


class Code(IntEnum):
    """The outcomes, as small integers; Error can't happen here, it is raised instead."""

    SUCCESSFUL = 0
    INCONCLUSIVE = 1
    FAILED = 3


@dataclass(frozen=True)
class Column:
    """Readings of one query at many times; NaN is no data. ``samples`` None: it has no such query."""

    values: Floats
    samples: Floats | None = None


def outcomes(gate: Gate, reading: Column, reference: Column | None = None) -> Codes:
    """Judge every reading; ``reference`` belongs to baseline and control gates."""
    codes = _kept(gate, reading.values, _limits(gate, reference))
    relative = gate.kind in RELATIVE
    if relative and reference is None:
        codes[:] = _policy(gate.on_no_data)
    if relative and reference is not None:
        _refuse(gate, reference, codes, counted=gate.kind is not GateKind.BASELINE)
    _refuse(gate, reading, codes, counted=True)
    return codes


def fires(gate: Gate, codes: Codes, turns_per_tick: int) -> NDArray[np.bool_]:
    """When the watch would return: Failed ``consecutive`` turns in a row, as the watch counts.

    Every tick holds ``turns_per_tick`` looks of the watch, which all read the same.
    """
    failed = codes == Code.FAILED
    so_far = np.cumsum(failed) * turns_per_tick
    before = np.maximum.accumulate(np.where(codes == Code.SUCCESSFUL, so_far, 0))
    fired: NDArray[np.bool_] = failed & (so_far - before >= gate.consecutive)
    return fired


def screen(gate: Gate, baseline: Reading | None) -> tuple[str, float] | None:
    """PromQL's comparison and the limit that every value which fails is beyond.

    None where the limit moves or isn't known, or where something else may fail too.
    """
    if gate.kind is GateKind.CONTROL or "fail" in (gate.on_no_data, gate.on_inconclusive):
        return None
    reference = None
    if gate.kind is GateKind.BASELINE:
        if baseline is None or baseline.value is None:
            return None
        reference = Column(np.array([baseline.value]))
    limit = float(_limits(gate, reference)[0])
    if gate.direction == "above":
        return "<", limit
    return (">" if gate.kind in RELATIVE else ">="), limit


def _limits(gate: Gate, reference: Column | None) -> Floats:
    if gate.kind not in RELATIVE or reference is None:
        return np.full(1, gate.threshold)
    limits = reference.values * (1 + gate.threshold)
    if gate.floor is None:
        return limits
    choose = np.maximum if gate.direction == "below" else np.minimum
    return choose(limits, gate.floor)


def _kept(gate: Gate, values: Floats, limits: Floats) -> Codes:
    if gate.direction == "above":
        kept = values >= limits
    else:
        kept = values <= limits if gate.kind in RELATIVE else values < limits
    return np.where(kept, Code.SUCCESSFUL, Code.FAILED).astype(np.int8)


def _refuse(gate: Gate, column: Column, codes: Codes, *, counted: bool) -> None:
    """Overwrite what can't be judged: no data, or too few samples."""
    if column.samples is not None:
        few = np.nan_to_num(column.samples) < gate.min_samples
        codes[np.broadcast_to(few, codes.shape)] = _policy(gate.on_inconclusive)
    elif gate.min_samples and counted:
        codes[:] = _policy(gate.on_inconclusive)
    empty = ~np.isfinite(column.values)
    codes[np.broadcast_to(empty, codes.shape)] = _policy(gate.on_no_data)


def _policy(policy: str) -> Code:
    return Code.FAILED if policy == "fail" else Code.INCONCLUSIVE
