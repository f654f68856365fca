"""A statistical gate never takes a gap for evidence, and says in one sentence what it saw."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.rollout.analysis.blocks import (
    BLOCKS_MAX,
    coverage_query,
    due_blocks,
    expected_coverage,
    increase_query,
    reset_query,
)
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.sequential_gate import judge_blocks, shown_effect
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext, SequentialState
from sluice.rollout.analysis.tracks import FIRST_ATTEMPT_SHARE
from sluice.rollout.analysis.verdict import Outcome, Verdict

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATISTICS = {
    "rate": {"test": "rate", "events": 'e{c="$cohort"}', "units": 'u{c="$cohort"}'},
    "tail": {"test": "latency_tail", "buckets": 'b{c="$cohort",le=~"$le"}', "edges": [0.5, 1]},
    "mean": {
        "test": "mean",
        "units": 'n{c="$cohort"}',
        "total": 's{c="$cohort"}',
        "squares": 'q{c="$cohort"}',
    },
    "bounded": {
        "test": "bounded_mean",
        "units": 'n{c="$cohort"}',
        "total": 's{c="$cohort"}',
        "squares": 'q{c="$cohort"}',
    },
    "hazards": {
        "test": "user_hazards",
        "users": 'a{c="$cohort",nth="$stratum"}',
        "at_risk": 'r{c="$cohort",nth="$stratum"}',
        "strata": ["1", "2"],
    },
    "means": {"test": "user_means", "sums": 'w{c="$cohort",sum="$sum"}'},
    "ratio": {"test": "sample_ratio", "users": 'v{c="$cohort"}'},
}
CohortCounts = tuple[dict[str, float], dict[str, float]]


def user_sums(users: float, total: float, squares: float) -> dict[str, float]:
    """Return sums over users, each of weight 1."""
    return {
        "weight": users,
        "value": total,
        "square": squares,
        "product": total,
        "weight_square": users,
    }


SOUND_COUNTS: dict[str, CohortCounts] = {
    "rate": ({"events": 1, "units": 500}, {"events": 3, "units": 1500}),
    "tail": ({"0.5": 450, "1": 495, "all": 500}, {"0.5": 1350, "1": 1485, "all": 1500}),
    "mean": (
        {"units": 500, "total": 350, "squares": 265},
        {"units": 1500, "total": 1050, "squares": 795},
    ),
    "bounded": (
        {"units": 500, "total": 350, "squares": 265},
        {"units": 1500, "total": 1050, "squares": 795},
    ),
    "hazards": (
        {"users 1": 10, "users 2": 2, "at_risk 1": 500, "at_risk 2": 20},
        {"users 1": 30, "users 2": 6, "at_risk 1": 1500, "at_risk 2": 60},
    ),
    "means": (user_sums(500, 350, 265), user_sums(1500, 1050, 795)),
    "ratio": ({"users": 250}, {"users": 750}),
}
HARMED_COUNTS: dict[str, CohortCounts] = {
    "rate": ({"events": 41, "units": 500}, SOUND_COUNTS["rate"][1]),
    "tail": ({"0.5": 250, "1": 400, "all": 500}, SOUND_COUNTS["tail"][1]),
    "mean": ({"units": 500, "total": 250, "squares": 145}, SOUND_COUNTS["mean"][1]),
    "bounded": ({"units": 500, "total": 250, "squares": 145}, SOUND_COUNTS["bounded"][1]),
    "hazards": (
        {"users 1": 60, "users 2": 10, "at_risk 1": 500, "at_risk 2": 40},
        SOUND_COUNTS["hazards"][1],
    ),
    "means": (user_sums(500, 250, 145), SOUND_COUNTS["means"][1]),
    "ratio": ({"users": 500}, SOUND_COUNTS["ratio"][1]),
}
KINDS = list(STATISTICS)


def gate(**fields: object) -> Gate:
    defaults = {"name": "g", "metric": "m", "kind": "statistical", "window": "1h"}
    return Gate.model_validate({**defaults, **fields})


def metric(kind: str) -> Metric:
    return Metric.model_validate({"query": "x", "unit": "ratio", "statistic": STATISTICS[kind]})


def exposure(track: SequentialState | None = None, **fields: object) -> EvidenceContext:
    tracks = {"g": track} if track else {}
    defaults = {"since": SINCE, "share": 0.25, "alphas": {"g": 0.01}, "sequential_states": tracks}
    return EvidenceContext.model_validate({**defaults, **fields})


def block(counts: CohortCounts, hour: int = 0, **fields: str) -> Block:
    return Block(
        since=SINCE + hour * HOUR,
        until=SINCE + (hour + 1) * HOUR,
        share=0.25,
        treatment=counts[0],
        control=counts[1],
        **fields,
    )


def evaluate_gate(kind: str, *blocks: Block, **fields: object) -> tuple[Verdict, SequentialState]:
    return judge_blocks(gate(**fields), metric(kind), exposure(), blocks)


@pytest.mark.parametrize("kind", ["hazards", "means"])
def test_users_without_evidence_show_no_effect(kind: str) -> None:
    assert shown_effect(gate(), metric(kind), SequentialState(), 0.01) is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_both_cohorts_share_is_successful(kind: str) -> None:
    verdict, track = evaluate_gate(kind, *(block(SOUND_COUNTS[kind], hour) for hour in range(3)))
    assert verdict.outcome is Outcome.SUCCESSFUL, verdict.reason
    assert (track.blocks, track.until) == (3, SINCE + 3 * HOUR)


@pytest.mark.parametrize("kind", KINDS)
def test_harm_fails_at_its_part_of_alpha(kind: str) -> None:
    verdict, _ = evaluate_gate(kind, *(block(HARMED_COUNTS[kind], hour) for hour in range(3)))
    assert verdict.outcome is Outcome.FAILED, verdict.reason
    assert verdict.limit == pytest.approx(100 / FIRST_ATTEMPT_SHARE)
    assert verdict.value is not None
    assert verdict.value >= 100 / FIRST_ATTEMPT_SHARE


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_goes_on_from_its_saved_state(kind: str) -> None:
    """Two blocks at one look, or one at each of two looks with JSON in between: the same."""
    both, at_once = evaluate_gate(kind, block(SOUND_COUNTS[kind]), block(HARMED_COUNTS[kind], 1))
    _, first = evaluate_gate(kind, block(SOUND_COUNTS[kind]))
    saved = SequentialState.model_validate_json(first.model_dump_json())
    later, after = judge_blocks(
        gate(), metric(kind), exposure(saved), [block(HARMED_COUNTS[kind], 1)]
    )
    assert later.outcome is both.outcome
    assert later.value == pytest.approx(both.value, rel=1e-6)
    assert after.until == at_once.until


@pytest.mark.parametrize("kind", KINDS)
def test_a_track_is_small(kind: str) -> None:
    """Two strata here; six stay below 2 kB. It travels with every check."""
    _, track = evaluate_gate(kind, block(SOUND_COUNTS[kind]))
    assert len(track.model_dump_json()) < 460 * (2 if kind in ("tail", "hazards", "means") else 1)


def test_the_message_contains_the_numbers() -> None:
    verdict, _ = evaluate_gate("rate", block(HARMED_COUNTS["rate"]))
    assert verdict.reason.startswith(
        "g: m 8.20% (treatment, 41/500) against 0.20% (control, 3/1,500, margin 1.5 ×), e-value "
    )
    assert verdict.reason.endswith(" ≥ 111: worse at α = 0.009")


@pytest.mark.parametrize("problem", ["a counter was reset", "the treatment cohort has no counts"])
@pytest.mark.parametrize(("policy", "outcome"), [("hold", "Inconclusive"), ("fail", "Failed")])
def test_a_block_without_data_adds_no_evidence(problem: str, policy: str, outcome: str) -> None:
    bad = block(HARMED_COUNTS["rate"], 1, problem=problem)
    verdict, track = evaluate_gate("rate", block(SOUND_COUNTS["rate"]), bad, on_no_data=policy)
    _, without = evaluate_gate("rate", block(SOUND_COUNTS["rate"]))
    assert (verdict.outcome, track.test_state) == (outcome, without.test_state)
    assert problem in verdict.reason
    assert track.until == bad.until


def test_impossible_counts_are_no_data() -> None:
    verdict, track = evaluate_gate(
        "rate", block(({"events": 9, "units": 4}, SOUND_COUNTS["rate"][1]))
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "9 events in 4 units: more than possible" in verdict.reason
    assert track.blocks == 0


def test_an_unmeasured_block_is_measured_again() -> None:
    unknown = block(SOUND_COUNTS["rate"], 1, error="Prometheus can't be asked")
    verdict, track = evaluate_gate(
        "rate", block(SOUND_COUNTS["rate"]), unknown, block(SOUND_COUNTS["rate"], 2)
    )
    assert verdict.outcome is Outcome.ERROR
    assert track.until == SINCE + HOUR
    assert due_blocks(gate(), exposure(track), SINCE + 2 * HOUR) == [
        (SINCE + HOUR, SINCE + 2 * HOUR)
    ]


def test_harm_once_shown_outlasts_a_gap() -> None:
    gap = block(SOUND_COUNTS["rate"], 1, problem="a counter was reset")
    assert evaluate_gate("rate", block(HARMED_COUNTS["rate"]), gap)[0].outcome is Outcome.FAILED


def test_too_few_samples_decide_nothing() -> None:
    verdict, _ = evaluate_gate("rate", block(HARMED_COUNTS["rate"]), min_samples=501)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "only 500 of 501 samples" in verdict.reason


def test_a_new_step_needs_a_block_of_its_own() -> None:
    _, before = evaluate_gate("rate", block(SOUND_COUNTS["rate"]))
    verdict, _ = judge_blocks(gate(), metric("rate"), exposure(before, since=SINCE + HOUR), [])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no whole block of 1h since 2026-03-01 13:00:00" in verdict.reason


def test_a_non_inferiority_claim_passes_only_once_shown() -> None:
    few, _ = evaluate_gate("mean", block(SOUND_COUNTS["mean"]), claim="non_inferiority")
    many, _ = evaluate_gate(
        "mean", *(block(SOUND_COUNTS["mean"], hour) for hour in range(12)), claim="non_inferiority"
    )
    assert (few.outcome, many.outcome) == (Outcome.INCONCLUSIVE, Outcome.SUCCESSFUL)
    assert "shown to be less than 0.02 worse" in many.reason


def test_nothing_is_compared_without_two_cohorts() -> None:
    everybody = exposure(share=1.0)
    assert due_blocks(gate(), everybody, SINCE + 9 * HOUR) == []
    verdict, _ = judge_blocks(gate(), metric("rate"), everybody, [])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no second cohort to compare with at 100%" in verdict.reason


def test_a_gate_without_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match="no α"):
        judge_blocks(gate(), metric("rate"), exposure(alphas={}), [])


def test_due_blocks_do_not_depend_on_earlier_looks() -> None:
    """Due blocks do not depend on the time of the last evaluation."""
    late = SINCE + timedelta(hours=2, minutes=59)
    assert due_blocks(gate(), exposure(), late) == [
        (SINCE, SINCE + HOUR),
        (SINCE + HOUR, SINCE + 2 * HOUR),
    ]
    assert due_blocks(gate(), exposure(SequentialState(until=SINCE + HOUR)), late) == [
        (SINCE + HOUR, SINCE + 2 * HOUR)
    ]
    assert due_blocks(gate(), exposure(SequentialState(until=SINCE - HOUR)), SINCE + HOUR / 2) == []


def test_after_a_long_absence_blocks_grow() -> None:
    spans = due_blocks(gate(window="1m"), exposure(), SINCE + timedelta(minutes=90))
    assert len(spans) <= BLOCKS_MAX
    assert spans[0] == (SINCE, SINCE + timedelta(minutes=4))
    assert spans[-1][1] > SINCE + timedelta(minutes=86)


def test_a_block_is_measured_by_the_documented_promql() -> None:
    selector = 'u{c=~"$cohort"}'
    assert (
        increase_query(selector, "control", HOUR)
        == 'sum(u{c=~"control"} - u{c=~"control"} offset 1h)'
    )
    reset = reset_query(selector, HOUR, timedelta(minutes=2))
    assert reset == 'resets(u{c=~".+"}[1h2m]) > 0'
    assert increase_query(selector, "control", HOUR, reset) == (
        'sum((u{c=~"control"} - u{c=~"control"} offset 1h) unless on (instance) '
        '(resets(u{c=~".+"}[1h2m]) > 0))'
    )
    assert coverage_query(selector, HOUR, timedelta(minutes=2)) == (
        'count_over_time((count(present_over_time(u{c=~".+"}[2m])))[1h:2m])'
    )
    assert expected_coverage((SINCE, SINCE + HOUR), timedelta(minutes=2)) == 31
    odd = SINCE + timedelta(seconds=1)
    assert expected_coverage((odd, odd + HOUR), timedelta(minutes=2)) == 30
