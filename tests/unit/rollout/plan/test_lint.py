"""``lint`` says from the plan and the traffic what a gate can and cannot see."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sluice.cli.registry import build_app
from sluice.rollout.plan import lint
from sluice.rollout.plan.lint import lint_warnings, probability_at_least
from sluice.rollout.plan.loader import load_plan, parse_plan
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan

PHASE4 = Path(__file__).parents[4] / "plans" / "phase4.yaml"
PLAN = """
name: short
flag: learning
metrics:
  errors:
    query: sum(rate(router_queries_total{cohort=~"$cohort",outcome="error"}[$window]))
    samples: sum(increase(router_queries_total{cohort=~"$cohort"}[$window]))
    unit: ratio
    statistic:
      test: rate
      events: router_queries_total{cohort=~"$cohort",outcome="error"}
      units: router_queries_total{cohort=~"$cohort"}
steps:
  - name: ramp
    title: Ramp
    stage: 4
    percentage: SHARE
    interval: 1h
    hold: 3d
    deadline: 4d
    gates: [{name: g, metric: errors, GATE}]
"""
FIXED_GATE = "threshold: 1%, window: 1h, min_samples: 20"
STATISTICAL_GATE = "kind: statistical, window: 1h"


def lint_messages(gate: str, share: int = 25, traffic: float | None = None) -> list[str]:
    plan = parse_plan(PLAN.replace("SHARE", str(share)).replace("GATE", gate))
    comes = ExpectedTraffic(queries_per_day=traffic) if traffic else None
    return gate_messages(plan, comes)


def gate_messages(plan: RolloutPlan, traffic: ExpectedTraffic | None) -> list[str]:
    """Return the warnings but the one that the plan of these tests has no red flags."""
    texts = [text for _, text in lint_warnings(plan, traffic)]
    return [text for text in texts if "without a red flag" not in text]


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (
            "threshold: 1%, window: 5d, min_samples: 20",
            "window 5d is longer than the step's hold 3d",
        ),
        ("threshold: 0, window: 1h, min_samples: 20", "the gate can never pass"),
        ("threshold: 2, direction: above, window: 1h, min_samples: 20", "the gate can never pass"),
        ("threshold: 120%, window: 1h, min_samples: 20", "the gate can never fail"),
        ("threshold: 1%, window: 1h", "a single request decides"),
    ],
    ids=["window", "never below", "never above", "always", "samples"],
)
def test_a_gate_that_cannot_decide_is_reported_without_traffic(gate: str, words: str) -> None:
    (text,) = lint_messages(gate)
    assert words in text
    assert text.startswith("ramp/g: ")


@pytest.mark.parametrize("share", [1, 50, 100])
def test_a_large_exposure_jump_is_reported(share: int) -> None:
    """A step that deletes the flag exposes all users; the step before it must have done so."""
    cleanup = """  - name: cleanup
    title: Cleanup
    stage: 5
    delete_flag: true
    phases: {enable_feature_flags: false, enable_online_learning: true}
    interval: 1h
    hold: 1h
    deadline: 1h
    gates: [{name: g, metric: errors, threshold: 1%, window: 1h, min_samples: 20}]
"""
    plan = parse_plan(PLAN.replace("SHARE", str(share)).replace("GATE", FIXED_GATE) + cleanup)
    warnings = [
        (place, text) for place, text in lint_warnings(plan, None) if "delete_flag" in place
    ]
    if share == 100:
        assert warnings == []
    else:
        ((place, text),) = warnings
        assert place == ("steps", 1, "delete_flag")
        assert f"until then only {share}% have it; put a step at 100 before it" in text


def test_a_sound_gate_is_not_talked_about() -> None:
    assert lint_messages(FIXED_GATE) == []
    assert lint_messages(FIXED_GATE, traffic=10_000_000) == []
    assert lint_messages(STATISTICAL_GATE, traffic=10_000_000) == []


def test_too_little_traffic_for_the_samples() -> None:
    (text,) = lint_messages(FIXED_GATE, share=5, traffic=1200)
    assert "expects 2.5 queries in 1h (5% of 1,200 a day) but needs 20: it will hold" in text
    assert text.endswith("a window of 8 hours has them")


def test_a_threshold_that_chance_passes() -> None:
    (text,) = lint_messages(FIXED_GATE, traffic=20_000)
    assert "with 208 queries in 1h, a healthy error rate of 0.50% is not below 1.00% in" in text


def test_a_doubling_that_takes_longer_than_the_step() -> None:
    (text,) = lint_messages(STATISTICAL_GATE, share=5, traffic=100_000)
    assert text.startswith(
        "ramp/g: at 5% and 100,000 requests a day, a doubling of a 0.50% error rate"
    )
    assert "; the step holds 3 days; hold " in text
    assert " or expose " in text


def test_binomial_tails_are_exact() -> None:
    assert probability_at_least(0, 9, 0.1) == pytest.approx(1)
    assert probability_at_least(1, 2, 0.5) == pytest.approx(0.75)
    assert probability_at_least(2, 2, 0.5) == pytest.approx(0.25)


def test_the_guides_plan_sees_what_it_should_at_its_own_traffic() -> None:
    plan: RolloutPlan = load_plan(PHASE4)
    assert not [text for _, text in lint_warnings(plan, plan.traffic) if "needs" in text]


def test_lint_prints_each_warning_with_its_line_and_exits_0_unless_strict() -> None:
    arguments = ["lint", str(PHASE4), "--qpd", "1200", "--json"]
    done = CliRunner().invoke(build_app(["lint"]), arguments)
    warnings = json.loads(done.stdout)["warnings"]
    assert done.exit_code == 0
    assert len(warnings) > 20
    assert all(warning["line"] and warning["field"].startswith("steps[") for warning in warnings)
    assert CliRunner().invoke(build_app(["lint"]), [*arguments, "--strict"]).exit_code == 2


def test_a_gate_of_users_says_when_nobody_is_left_to_count() -> None:
    """The same queries from a hundred times fewer users: all of them have failed within a day."""
    counted = PLAN.split("      test: rate", maxsplit=1)[0] + "      test: user_hazards\n"
    counted += (
        '      users: router_users_failed_total{cohort=~"$cohort",since="step",nth="$stratum"}\n'
    )
    counted += '      at_risk: router_users_failed_at_risk_total{cohort=~"$cohort",since="step",nth="$stratum"}\n'
    counted += '      strata: ["1", "2", "4", "8"]\nsteps:'
    plan = parse_plan(
        (counted + PLAN.split("steps:")[1]).replace("SHARE", "5").replace("GATE", STATISTICAL_GATE)
    )

    def lint(users: float | None) -> list[str]:
        comes = ExpectedTraffic(queries_per_day=200_000, users=users)
        return gate_messages(plan, comes)

    assert lint(None) == lint(200_000) == []
    (text,) = lint(200)
    assert "a doubling of a 0.50% error rate can't be seen in a year; the step holds 3 days" in text


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("kind: control, threshold: +10%, window: 1h, min_samples: 20", "nothing to compare"),
        ("kind: statistical, window: 1h, dry_run: true", "it can't show anything here"),
    ],
)
def test_a_comparison_with_one_cohort_is_reported(gate: str, words: str) -> None:
    fixed = f"{FIXED_GATE}}}, {{name: h, metric: errors, {gate}"
    (text,) = lint_messages(fixed, share=100)
    assert f"there is only one cohort at 100%: {words}" in text


def test_times_to_detection_need_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base install has none; lint says what it left out."""
    monkeypatch.setattr(lint, "_HAS_NUMPY", False)
    assert lint_messages(STATISTICAL_GATE, traffic=10_000) == [
        "the gates' times to detection are not computed: numpy is not installed"
    ]


@pytest.mark.parametrize(
    ("statistic", "change"),
    [
        (
            'test: latency_tail\n      buckets: b_bucket{cohort=~"$cohort",le=~"$le"}',
            "three times as many of the slowest 1 %",
        ),
        (
            'test: sample_ratio\n      users: u_total{cohort=~"$cohort"}',
            "",
        ),
    ],
)
def test_each_statistic_has_its_typical_fault(statistic: str, change: str) -> None:
    """A sample-ratio mismatch has no size, so no time is named."""
    start, end = PLAN.split("      test: rate\n")
    end = end.split("steps:")[1]
    text = f"{start}      {statistic}\nsteps:{end}"
    plan = parse_plan(text.replace("SHARE", "5").replace("GATE", STATISTICAL_GATE))
    comes = ExpectedTraffic(queries_per_day=2_000, users=2_000)
    texts = " ".join(gate_messages(plan, comes))
    assert (change in texts) if change else texts == ""
