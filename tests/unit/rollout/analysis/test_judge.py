"""Judgement: what counts as Successful, and everything that never does."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.rollout.analysis.gate import Gate, Metric, render_query, slope_query, template_problem
from sluice.rollout.analysis.judge import judge
from sluice.rollout.analysis.reading import GateReadings, Reading
from sluice.rollout.analysis.value_format import format_distinct, format_value
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict, worst_outcome

AT = datetime(2026, 11, 24, tzinfo=UTC)
METRIC = Metric(query="q", samples="n", unit="ratio")


def gate(**fields: object) -> Gate:
    return Gate.model_validate({"metric": "error_rate", "threshold": "1%", "window": "5m"} | fields)


def reading(value: float | None, samples: float | None = 100, error: str = "") -> Reading:
    return Reading(
        metric="error_rate", cohort="treatment", at=AT, value=value, samples=samples, error=error
    )


def outcome_of(rule: Gate, measured: Reading, reference: Reading | None = None) -> Outcome:
    return judge(rule, METRIC, GateReadings(reading=measured, reference=reference)).outcome


def test_below_is_strict_and_above_is_not() -> None:
    """Guide: "P99 <1s", "average reward ≥0.6"."""
    assert outcome_of(gate(), reading(0.0099)) is Outcome.SUCCESSFUL
    assert outcome_of(gate(), reading(0.01)) is Outcome.FAILED
    assert outcome_of(gate(direction="above"), reading(0.01)) is Outcome.SUCCESSFUL
    assert outcome_of(gate(direction="above"), reading(0.0099)) is Outcome.FAILED


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_no_data_holds_and_never_succeeds(value: float | None) -> None:
    """NaN with only a failure condition is Successful in Argo; here it never is."""
    assert outcome_of(gate(), reading(value)) is Outcome.INCONCLUSIVE
    assert outcome_of(gate(on_no_data="fail"), reading(value)) is Outcome.FAILED


def test_an_error_is_an_error_whatever_the_value() -> None:
    """A broken metric isn't a bad release, and not a good one either."""
    verdict = judge(gate(), METRIC, GateReadings(reading=reading(0.0, error="timeout")))
    assert verdict.outcome is Outcome.ERROR
    assert "could not measure: timeout" in verdict.reason
    assert verdict.value is None


def test_too_few_samples_are_inconclusive() -> None:
    """A good value on three requests decides nothing; nor does one of unknown weight."""
    rule = gate(min_samples=50)
    assert outcome_of(rule, reading(0.0, samples=49)) is Outcome.INCONCLUSIVE
    assert outcome_of(rule, reading(0.0, samples=None)) is Outcome.INCONCLUSIVE
    assert outcome_of(gate(min_samples=50, on_inconclusive="fail"), reading(0, 3)) is Outcome.FAILED
    assert outcome_of(rule, reading(0.0, samples=50)) is Outcome.SUCCESSFUL


def test_a_baseline_gate_compares_with_what_was_recorded() -> None:
    """Guide: latency increase >10 % is a red flag; an equal value is not an increase, even at zero."""
    rule = gate(kind="baseline", threshold="+10%")
    assert outcome_of(rule, reading(0.0109), reading(0.01)) is Outcome.SUCCESSFUL
    assert outcome_of(rule, reading(0.012), reading(0.01)) is Outcome.FAILED
    assert outcome_of(rule, reading(0.0), reading(0.0)) is Outcome.SUCCESSFUL


@pytest.mark.parametrize(("reference", "limit"), [(-0.2, -0.22), (0.2, 0.18), (0.0, 0.0)])
def test_a_change_of_a_negative_reference_keeps_its_direction(
    reference: float, limit: float
) -> None:
    """Ten per cent worse than a reward of -0.2 is -0.22: the reference itself passes."""
    rule = gate(kind="control", threshold="-10%", direction="above")
    assert outcome_of(rule, reading(reference), reading(reference)) is Outcome.SUCCESSFUL
    assert outcome_of(rule, reading(limit - 0.001), reading(reference)) is Outcome.FAILED
    assert outcome_of(rule, reading(limit + 0.001), reading(reference)) is Outcome.SUCCESSFUL


def test_without_a_reference_nothing_is_compared() -> None:
    """No control data passes by default elsewhere; here it holds."""
    rule = gate(kind="control", threshold="+10%")
    assert outcome_of(rule, reading(0.0)) is Outcome.INCONCLUSIVE
    assert outcome_of(rule, reading(0.0), reading(None)) is Outcome.INCONCLUSIVE
    assert outcome_of(rule, reading(0.0), reading(0.1, error="down")) is Outcome.ERROR


def test_a_floor_keeps_noise_from_being_a_red_flag() -> None:
    """Twice a baseline of 1 % is 2 %, but with a floor of 5 % the limit is 5 %."""
    rule = gate(kind="baseline", threshold="2x", floor="5%")
    assert outcome_of(rule, reading(0.04), reading(0.01)) is Outcome.SUCCESSFUL
    assert outcome_of(rule, reading(0.06), reading(0.01)) is Outcome.FAILED
    falling = gate(kind="baseline", threshold="-10%", floor="5%", direction="above")
    assert outcome_of(falling, reading(0.06), reading(0.5)) is Outcome.SUCCESSFUL


def test_the_message_contains_value_limit_and_samples() -> None:
    """The reason of a failure: value against threshold, reference and samples."""
    rule = gate(kind="control", threshold="+10%")
    verdict = judge(rule, METRIC, GateReadings(reading=reading(0.02), reference=reading(0.01)))
    assert verdict.reason == (
        "error_rate 2.00% is not below 1.10% (control cohort 1.00% +10%), 100 samples"
    )
    finer = gate(kind="control", threshold="+0.5%")
    verdict = judge(finer, METRIC, GateReadings(reading=reading(0.02), reference=reading(0.01)))
    assert "(control cohort 1.00% +0.5%)" in verdict.reason


@given(
    st.floats(allow_nan=True, allow_infinity=True) | st.none(),
    st.floats(min_value=0, max_value=1e6) | st.none(),
    st.text(max_size=3),
    st.integers(min_value=0, max_value=1000),
)
def test_only_usable_readings_succeed(
    value: float | None, samples: float | None, error: str, min_samples: int
) -> None:
    """Whatever is measured: Successful needs a finite value, no error, and enough samples."""
    verdict = outcome_of(gate(min_samples=min_samples), reading(value, samples, error))
    if verdict is Outcome.SUCCESSFUL:
        assert not error
        assert value is not None
        assert math.isfinite(value)
        assert min_samples == 0 or (samples is not None and samples >= min_samples)


def verdict_of(kind: Outcome, *, dry_run: bool = False) -> Verdict:
    return Verdict(gate="g", outcome=kind, reason=f"g {kind}", dry_run=dry_run)


def test_the_worst_verdict_decides_and_nothing_decides_nothing() -> None:
    """Failed beats Error beats Inconclusive beats Successful; an empty list is not Successful."""
    assert worst_outcome([Outcome.SUCCESSFUL, Outcome.ERROR, Outcome.INCONCLUSIVE]) is Outcome.ERROR
    assert worst_outcome([Outcome.ERROR, Outcome.FAILED]) is Outcome.FAILED
    assert worst_outcome([]) is Outcome.INCONCLUSIVE


def test_a_dry_run_gate_is_reported_but_decides_nothing() -> None:
    """Thresholds can prove themselves before they act."""
    verdicts = (verdict_of(Outcome.SUCCESSFUL), verdict_of(Outcome.FAILED, dry_run=True))
    check = Check(id="1", at=AT, step="s", verdicts=verdicts)
    assert check.outcome is Outcome.SUCCESSFUL
    assert check.reason == "g Successful"
    only_dry = Check(id="1", at=AT, step="s", verdicts=verdicts[1:])
    assert only_dry.outcome is Outcome.INCONCLUSIVE
    assert only_dry.reason == "nothing was measured"


def test_expressions_fill_in_cohort_and_window() -> None:
    """``all`` matches every cohort; a trend is the slope per hour of the same query."""
    rule = gate(cohort="all", window="90s")
    assert render_query("q{c=~'$cohort'}[$window]", rule, "all") == "q{c=~'.+'}[1m30s]"
    assert slope_query("q", rule) == "3600 * deriv((q)[1m30s:])"
    assert template_problem("q[$window]") == ""
    assert "$stage" in template_problem("q{$stage}")
    assert "starts no name" in template_problem("q $")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "ratio", "–"),
        (0.412, "seconds", "412 ms"),
        (1.5, "seconds", "1.50 s"),
        (0.0123, "ratio", "1.23%"),
        (2.5e8, "bytes", "250 MB"),
        (28_311_552.0, "bytes/h", "28.3 MB an hour"),
        (-3.2e9, "bytes", "-3.2 GB"),
        (0.02, "score/h", "0.02 an hour"),
        (0.9996, "seconds", "1.00 s"),
        (999.7, "count", "1,000"),
        (0.714, "score", "0.714"),
        (12345, "count", "12,345"),
    ],
)
def test_values_read_as_people_write_them(value: float | None, unit: str, text: str) -> None:
    """Base units inside, human units outside."""
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("pair", "unit", "texts"),
    [
        ((0.8821, 0.8819), "seconds", ("882.1 ms", "881.9 ms")),
        ((0.05000001, 0.05), "ratio", ("5.000001%", "5.000000%")),
        ((0.05, 0.05), "ratio", ("5.00%", "5.00%")),
        ((0.3, 0.5), "ratio", ("30.00%", "50.00%")),
        ((2.8311e7, 2.8314e7), "bytes/h", ("28.311 MB an hour", "28.314 MB an hour")),
        ((1e-300, 2e-300), "score", ("1e-300", "2e-300")),
    ],
)
def test_a_reading_is_not_printed_like_the_limit_that_it_misses(
    pair: tuple[float, float], unit: str, texts: tuple[str, str]
) -> None:
    assert format_distinct(pair, unit) == texts


def test_few_events_fail_no_gate() -> None:
    """One failure among 20 queries is 5 %, and chance alone."""
    rule = gate(threshold="5%", min_samples=20, min_events=5)
    assert outcome_of(rule, reading(0.05, 20)) is Outcome.INCONCLUSIVE
    assert outcome_of(rule, reading(0.2, 20)) is Outcome.INCONCLUSIVE
    assert outcome_of(rule, reading(0.25, 20)) is Outcome.FAILED
    assert outcome_of(rule, reading(0.0, 20)) is Outcome.SUCCESSFUL


@pytest.mark.parametrize(
    ("stale", "age", "reason"),
    [
        (False, 3.0, ""),
        (True, None, "its series are not scraped any more"),
        (True, 301.4, "its newest sample is 301 s old"),
    ],
)
def test_a_stale_reading_says_why(stale: bool, age: float | None, reason: str) -> None:
    measured = reading(0.1).model_copy(update={"stale": stale, "age_seconds": age})
    assert measured.stale_reason == reason
