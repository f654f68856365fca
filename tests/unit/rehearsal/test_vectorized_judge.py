"""Judging arrays is judging each reading: the same rules, or a rehearsal would lie."""

import operator
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sluice.rehearsal.lookahead.vectorized_judge import (
    SampleColumn,
    firing_mask,
    judge_column,
    prefilter,
)
from sluice.rollout.analysis.failure_runs import FailureRun, is_lasting, update_failure_runs
from sluice.rollout.analysis.gate import Gate, GateKind, Metric
from sluice.rollout.analysis.judge import judge
from sluice.rollout.analysis.reading import GateReadings, Reading
from sluice.rollout.analysis.verdict import Outcome, Verdict

AT = datetime(2026, 1, 5, tzinfo=UTC)
METRIC = Metric(query="x", samples="n", unit="count")
NAMES = {0: Outcome.SUCCESSFUL, 1: Outcome.INCONCLUSIVE, 3: Outcome.FAILED}
numbers = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.1, 2.0, -1.0]))
counts = st.sampled_from([0.0, 9.0, 10.0, 50.0])
kinds = st.sampled_from(
    [GateKind.ABSOLUTE, GateKind.BASELINE, GateKind.CONTROL, GateKind.TREND, GateKind.PRESENCE]
)


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    kind = draw(kinds)
    relative = kind in (GateKind.BASELINE, GateKind.CONTROL)
    return Gate(
        metric="m",
        kind=kind,
        threshold=draw(st.sampled_from([0.0, 0.1, 1.0])),
        direction=draw(st.sampled_from(["below", "above"])),
        floor=draw(st.sampled_from([None, 1.0])) if relative else None,
        window=timedelta(seconds=60),
        min_samples=draw(st.sampled_from([0, 10])),
        on_no_data=draw(st.sampled_from(["hold", "fail"])),
        on_inconclusive=draw(st.sampled_from(["hold", "fail"])),
    )


def reading(value: float | None, samples: float | None) -> Reading:
    return Reading(metric="m", cohort="treatment", at=AT, value=value, samples=samples)


def column(values: list[float | None], samples: list[float] | None) -> SampleColumn:
    real = np.array([np.nan if value is None else value for value in values])
    return SampleColumn(real, None if samples is None else np.array(samples))


@given(gates(), st.lists(st.tuples(numbers, counts, numbers, counts), min_size=1), st.booleans())
def test_every_array_verdict_is_the_judges(
    gate: Gate, rows: list[tuple[float | None, float, float | None, float]], counted: bool
) -> None:
    """Each kind, direction, floor, sample rule and policy, with and without data."""
    values, samples, references, many = zip(*rows, strict=True)
    got = judge_column(
        gate,
        column(list(values), list(samples) if counted else None),
        column(list(references), list(many) if counted else None),
    )
    relative = gate.kind in (GateKind.BASELINE, GateKind.CONTROL)
    for code, (value, n, reference, m) in zip(got, rows, strict=True):
        measured = GateReadings(
            reading=reading(value, n if counted else None),
            reference=reading(reference, m if counted else None) if relative else None,
        )
        assert NAMES[int(code)] is judge(gate, METRIC, measured).outcome


@given(gates(), numbers, counts)
def test_without_a_reference_it_is_the_judges_too(
    gate: Gate, value: float | None, samples: float
) -> None:
    """A relative gate whose reference was never recorded."""
    verdict = judge(gate, METRIC, GateReadings(reading=reading(value, samples)))
    assert NAMES[int(judge_column(gate, column([value], [samples]))[0])] is verdict.outcome


COMPARISONS = {"<": operator.lt, ">": operator.gt, ">=": operator.ge}


@given(gates(), numbers, st.lists(st.tuples(numbers, counts), min_size=1))
def test_whatever_fails_is_beyond_the_screen(
    gate: Gate, baseline: float | None, rows: list[tuple[float | None, float]]
) -> None:
    """A rehearsal looks at a red flag's readings only where Prometheus finds one beyond its limit."""
    recorded = reading(baseline, 50.0)
    values, samples = (list(one) for one in zip(*rows, strict=True))
    reference = column([baseline], None) if gate.kind is GateKind.BASELINE else None
    found = prefilter(gate, recorded)
    if found is None:
        assert gate.kind is not GateKind.ABSOLUTE or "fail" in (
            gate.on_no_data,
            gate.on_inconclusive,
        )
        return
    beyond, limit = COMPARISONS[found[0]], found[1]
    for code, value in zip(
        judge_column(gate, column(values, samples), reference), values, strict=True
    ):
        if NAMES[int(code)] is Outcome.FAILED:
            assert value is not None
            assert beyond(value, limit)


def test_a_row_of_failures_counts_whole_windows_and_success_ends_it() -> None:
    """Looks that share a window are one failure; what could not be judged does not end the row."""
    gate = Gate(
        name="errors", metric="m", threshold=1, window=timedelta(seconds=120), consecutive=3
    )
    rng = np.random.default_rng(5)
    codes = rng.choice([0, 1, 3, 3, 3, 3, 3, 3], 400).astype(np.int8)
    runs: dict[str, FailureRun] = {}
    for tick, (code, fires) in enumerate(zip(codes, firing_mask(gate, codes, 60), strict=True)):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=tick)
        verdict = Verdict(gate="errors", outcome=NAMES[int(code)], reason="")
        runs = update_failure_runs(runs, [(gate, verdict)], at)
        assert fires == (is_lasting(gate, runs) and code == 3)
    assert firing_mask(gate, np.full(6, 3, dtype=np.int8), 60).tolist() == [False] * 4 + [True] * 2
