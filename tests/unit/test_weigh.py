"""A statistical gate never takes a gap for evidence, and says in one sentence what it saw."""

from datetime import UTC, datetime, timedelta

import pytest

from rollout.blocks import BLOCKS_MAX, due, growth, looks, looks_expected, resets
from rollout.gate import Gate, Metric
from rollout.track import Block, Exposure, Track
from rollout.verdict import Outcome, Verdict
from rollout.weigh import weigh

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATISTICS = {
    "rate": {"test": "rate", "events": 'e{c="$cohort"}', "units": 'u{c="$cohort"}'},
    "tail": {"test": "tail", "buckets": 'b{c="$cohort",le=~"$le"}', "edges": [0.5, 1]},
    "mean": {
        "test": "mean",
        "units": 'n{c="$cohort"}',
        "total": 's{c="$cohort"}',
        "squares": 'q{c="$cohort"}',
    },
    "affected": {"test": "affected", "users": 'a{c="$cohort"}'},
    "slow": {"test": "slow", "users": 'w{c="$cohort",edge=~"$edge"}', "edges": [0.5, 1]},
    "ratio": {"test": "ratio", "users": 'v{c="$cohort"}'},
}
Both = tuple[dict[str, float], dict[str, float]]
SOUND: dict[str, Both] = {
    "rate": ({"events": 1, "units": 500}, {"events": 3, "units": 1500}),
    "tail": ({"0.5": 450, "1": 495, "all": 500}, {"0.5": 1350, "1": 1485, "all": 1500}),
    "mean": (
        {"units": 500, "total": 350, "squares": 265},
        {"units": 1500, "total": 1050, "squares": 795},
    ),
    "affected": ({"users": 5}, {"users": 15}),
    "slow": ({"0.5": 10, "1": 2}, {"0.5": 30, "1": 6}),
    "ratio": ({"users": 250}, {"users": 750}),
}
HARMED: dict[str, Both] = {
    "rate": ({"events": 41, "units": 500}, SOUND["rate"][1]),
    "tail": ({"0.5": 250, "1": 400, "all": 500}, SOUND["tail"][1]),
    "mean": ({"units": 500, "total": 250, "squares": 145}, SOUND["mean"][1]),
    "affected": ({"users": 40}, SOUND["affected"][1]),
    "slow": ({"0.5": 60, "1": 30}, SOUND["slow"][1]),
    "ratio": ({"users": 500}, SOUND["ratio"][1]),
}
KINDS = list(STATISTICS)


def gate(**fields: object) -> Gate:
    defaults = {"name": "g", "metric": "m", "kind": "statistical", "window": "1h"}
    return Gate.model_validate({**defaults, **fields})


def metric(kind: str) -> Metric:
    return Metric.model_validate({"query": "x", "unit": "ratio", "statistic": STATISTICS[kind]})


def exposure(track: Track | None = None, **fields: object) -> Exposure:
    tracks = {"g": track} if track else {}
    defaults = {"since": SINCE, "share": 0.25, "alphas": {"g": 0.01}, "tracks": tracks}
    return Exposure.model_validate({**defaults, **fields})


def block(counts: Both, hour: int = 0, **fields: str) -> Block:
    return Block(
        since=SINCE + hour * HOUR,
        until=SINCE + (hour + 1) * HOUR,
        share=0.25,
        treatment=counts[0],
        control=counts[1],
        **fields,
    )


def weighed(kind: str, *blocks: Block, **fields: object) -> tuple[Verdict, Track]:
    return weigh(gate(**fields), metric(kind), exposure(), blocks)


@pytest.mark.parametrize("kind", KINDS)
def test_what_both_cohorts_share_is_successful(kind: str) -> None:
    verdict, track = weighed(kind, *(block(SOUND[kind], hour) for hour in range(3)))
    assert verdict.outcome is Outcome.SUCCESSFUL, verdict.because
    assert (track.blocks, track.until) == (3, SINCE + 3 * HOUR)


@pytest.mark.parametrize("kind", KINDS)
def test_harm_fails_at_its_part_of_alpha(kind: str) -> None:
    verdict, _ = weighed(kind, *(block(HARMED[kind], hour) for hour in range(3)))
    assert verdict.outcome is Outcome.FAILED, verdict.because
    assert verdict.limit == pytest.approx(100)
    assert verdict.value is not None
    assert verdict.value >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_goes_on_from_its_saved_state(kind: str) -> None:
    """Two blocks at one look, or one at each of two looks with JSON in between: the same."""
    both, at_once = weighed(kind, block(SOUND[kind]), block(HARMED[kind], 1))
    _, first = weighed(kind, block(SOUND[kind]))
    saved = Track.model_validate_json(first.model_dump_json())
    later, after = weigh(gate(), metric(kind), exposure(saved), [block(HARMED[kind], 1)])
    assert later.outcome is both.outcome
    assert later.value == pytest.approx(both.value, rel=1e-6)
    assert after.until == at_once.until


@pytest.mark.parametrize("kind", KINDS)
def test_a_track_is_small(kind: str) -> None:
    """Six edges of latency included: it travels with every check."""
    _, track = weighed(kind, block(SOUND[kind]))
    assert len(track.model_dump_json()) < 500 * (2 if kind in ("tail", "slow") else 1)


def test_the_sentence_tells_the_numbers() -> None:
    verdict, _ = weighed("rate", block(HARMED["rate"]))
    assert verdict.because.startswith(
        "g: m 8.20% (treatment, 41/500) against 0.20% (control, 3/1,500, margin 1.5 ×), e-value "
    )
    assert verdict.because.endswith(" ≥ 100: worse at α = 0.01")


@pytest.mark.parametrize("problem", ["a counter was reset", "the treatment cohort has no counts"])
@pytest.mark.parametrize(("policy", "outcome"), [("hold", "Inconclusive"), ("fail", "Failed")])
def test_no_data_is_no_evidence(problem: str, policy: str, outcome: str) -> None:
    bad = block(HARMED["rate"], 1, problem=problem)
    verdict, track = weighed("rate", block(SOUND["rate"]), bad, on_no_data=policy)
    _, without = weighed("rate", block(SOUND["rate"]))
    assert (verdict.outcome, track.state) == (outcome, without.state)
    assert problem in verdict.because
    assert track.until == bad.until


def test_impossible_counts_are_no_data() -> None:
    verdict, track = weighed("rate", block(({"events": 9, "units": 4}, SOUND["rate"][1])))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "9 events in 4 units: more than possible" in verdict.because
    assert track.blocks == 0


def test_what_could_not_be_measured_is_measured_again() -> None:
    unknown = block(SOUND["rate"], 1, error="Prometheus can't be asked")
    verdict, track = weighed("rate", block(SOUND["rate"]), unknown, block(SOUND["rate"], 2))
    assert verdict.outcome is Outcome.ERROR
    assert track.until == SINCE + HOUR
    assert due(gate(), exposure(track), SINCE + 2 * HOUR) == [(SINCE + HOUR, SINCE + 2 * HOUR)]


def test_harm_once_shown_outlasts_a_gap() -> None:
    gap = block(SOUND["rate"], 1, problem="a counter was reset")
    assert weighed("rate", block(HARMED["rate"]), gap)[0].outcome is Outcome.FAILED


def test_too_few_samples_decide_nothing() -> None:
    verdict, _ = weighed("rate", block(HARMED["rate"]), min_samples=501)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "only 500 of 501 samples" in verdict.because


def test_a_new_step_needs_a_block_of_its_own() -> None:
    _, before = weighed("rate", block(SOUND["rate"]))
    verdict, _ = weigh(gate(), metric("rate"), exposure(before, since=SINCE + HOUR), [])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no whole block of 1h since 2026-03-01 13:00:00" in verdict.because


def test_sound_is_shown_before_it_passes() -> None:
    few, _ = weighed("mean", block(SOUND["mean"]), claim="sound")
    many, _ = weighed("mean", *(block(SOUND["mean"], hour) for hour in range(12)), claim="sound")
    assert (few.outcome, many.outcome) == (Outcome.INCONCLUSIVE, Outcome.SUCCESSFUL)
    assert "shown to be less than 0.02 worse" in many.because


def test_nothing_is_compared_without_two_cohorts() -> None:
    everybody = exposure(share=1.0)
    assert due(gate(), everybody, SINCE + 9 * HOUR) == []
    verdict, _ = weigh(gate(), metric("rate"), everybody, [])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no second cohort to compare with at 100%" in verdict.because


def test_a_gate_without_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match="no α"):
        weigh(gate(), metric("rate"), exposure(alphas={}), [])


def test_blocks_follow_each_other_whenever_one_looks() -> None:
    """What is due does not depend on when it was looked at before."""
    late = SINCE + timedelta(hours=2, minutes=59)
    assert due(gate(), exposure(), late) == [
        (SINCE, SINCE + HOUR),
        (SINCE + HOUR, SINCE + 2 * HOUR),
    ]
    assert due(gate(), exposure(Track(until=SINCE + HOUR)), late) == [
        (SINCE + HOUR, SINCE + 2 * HOUR)
    ]
    assert due(gate(), exposure(Track(until=SINCE - HOUR)), SINCE + HOUR / 2) == []


def test_after_a_long_absence_blocks_grow() -> None:
    spans = due(gate(window="1m"), exposure(), SINCE + timedelta(minutes=90))
    assert len(spans) <= BLOCKS_MAX
    assert spans[0] == (SINCE, SINCE + timedelta(minutes=4))
    assert spans[-1][1] > SINCE + timedelta(minutes=86)


def test_the_promql_of_a_block() -> None:
    selector = 'u{c=~"$cohort"}'
    assert growth(selector, "control", HOUR) == 'sum(u{c=~"control"} - u{c=~"control"} offset 1h)'
    assert resets(selector, HOUR, timedelta(minutes=2)) == 'sum(resets(u{c=~".+"}[1h2m]))'
    assert looks(selector, HOUR, timedelta(minutes=2)) == (
        'count_over_time((count(present_over_time(u{c=~".+"}[2m])))[1h:2m])'
    )
    assert looks_expected((SINCE, SINCE + HOUR), timedelta(minutes=2)) == 31
    odd = SINCE + timedelta(seconds=1)
    assert looks_expected((odd, odd + HOUR), timedelta(minutes=2)) == 30
