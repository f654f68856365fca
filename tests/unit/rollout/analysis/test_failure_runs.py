"""Failures in a row count a window apart: looks that share a window are one failure."""

from datetime import UTC, datetime, timedelta

from sluice.rollout.analysis.failure_runs import FailureRun, is_lasting, update_failure_runs
from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.verdict import Outcome, Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)
GATE = Gate.model_validate(
    {"name": "errors", "metric": "errors", "threshold": "5%", "window": "1m", "consecutive": 2}
)


def test_what_could_not_be_judged_neither_adds_to_a_row_nor_ends_it() -> None:
    gate, at = GATE, AT

    def judged(outcome: Outcome) -> list[tuple[Gate, Verdict]]:
        return [(gate, Verdict(gate="errors", outcome=outcome, reason=""))]

    runs: dict[str, FailureRun] = {}
    for outcome in (Outcome.FAILED, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.FAILED):
        runs = update_failure_runs(runs, judged(outcome), at)
        at += gate.window / 3
    assert is_lasting(gate, runs)
    assert update_failure_runs(runs, judged(Outcome.SUCCESSFUL), at) == {}


def test_looks_within_one_window_are_one_failure() -> None:
    gate, at = GATE, AT
    failed = [(gate, Verdict(gate="errors", outcome=Outcome.FAILED, reason=""))]
    runs: dict[str, FailureRun] = {}
    for second in (0, 5, 10):
        runs = update_failure_runs(runs, failed, at + timedelta(seconds=second))
    assert not is_lasting(gate, runs)
    assert is_lasting(gate, update_failure_runs(runs, failed, at + gate.window))
