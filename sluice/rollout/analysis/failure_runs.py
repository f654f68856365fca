"""Failures in a row of a red flag, counted in whole windows.

Looks that are seconds apart share nearly all of a five-minute window, so the next failure counts only
a window after the last one that counted.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.model import Model


class FailureRun(Model):
    """``count`` failures in a row; the last one counted ``at`` that time."""

    count: int
    at: datetime


def update_failure_runs(
    runs: Mapping[str, FailureRun], gate_verdicts: Iterable[tuple[Gate, Verdict]], now: datetime
) -> dict[str, FailureRun]:
    """Count failures in a row; a success ends the row, a gate without a verdict changes nothing."""
    after = dict(runs)
    for gate, verdict in gate_verdicts:
        if verdict.outcome is Outcome.SUCCESSFUL:
            after.pop(gate.name, None)
        elif verdict.outcome is Outcome.FAILED:
            after[gate.name] = _add_failure(after.get(gate.name), gate, now)
    return after


def _add_failure(run: FailureRun | None, gate: Gate, now: datetime) -> FailureRun:
    if run is None:
        return FailureRun(count=1, at=now)
    return FailureRun(count=run.count + 1, at=now) if now - run.at >= gate.window else run


def is_lasting(gate: Gate, runs: Mapping[str, FailureRun]) -> bool:
    """Return True if the gate has failed ``consecutive`` times in a row."""
    run = runs.get(gate.name)
    return run is not None and run.count >= gate.consecutive
