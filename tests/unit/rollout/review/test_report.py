"""The post-mortem says what the record says, in the guide's words."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Abort, Finding, Rollback, RollbackKind, State
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.lessons import lessons_learned
from sluice.rollout.review.metric_impacts import impact_group
from sluice.rollout.review.report import Report, build_report

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAN = RolloutPlan.model_validate(
    {
        "name": "phase4-demo",
        "flag": "phase4_online_learning",
        "metrics": {
            "latency_p99": {"query": "l", "unit": "seconds"},
            "average_reward": {"query": "r", "unit": "score"},
        },
        "baselines": [
            {"metric": "latency_p99", "cohort": "control", "threshold": 0, "window": "1m"},
            {"metric": "average_reward", "cohort": "control", "threshold": 0, "window": "1m"},
        ],
        "steps": [
            {
                "name": "baseline",
                "title": "Baseline",
                "stage": 1,
                "interval": "1m",
                "hold": "5m",
                "deadline": "1h",
                "record_baseline": True,
                "gates": [
                    {
                        "metric": "latency_p99",
                        "threshold": "1s",
                        "window": "1m",
                        "cohort": "control",
                    }
                ],
            },
            {
                "name": "canary",
                "title": "Rollout to 5 %",
                "stage": 4,
                "percentage": 5,
                "interval": "1m",
                "hold": "5m",
                "deadline": "1h",
                "rollback_to": "baseline",
                "gates": [
                    {"metric": "latency_p99", "threshold": "1s", "window": "1m"},
                    {
                        "metric": "average_reward",
                        "threshold": 0.5,
                        "direction": "above",
                        "window": "1m",
                    },
                ],
            },
            {
                "name": "cleanup",
                "title": "Cleanup",
                "stage": 5,
                "interval": "1m",
                "hold": "5m",
                "deadline": "1h",
                "rollback_to": "canary",
                "gates": [{"metric": "latency_p99", "threshold": "1s", "window": "1m"}],
            },
        ],
    }
)


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


def verdict(gate: str, outcome: Outcome, value: float | None, limit: float) -> Verdict:
    unit = "seconds" if gate == "latency_p99" else "score"
    because = f"{gate}: {outcome}"
    return Verdict(gate=gate, outcome=outcome, reason=because, value=value, limit=limit, unit=unit)


def check(step: str, minute: float, *verdicts: Verdict) -> Check:
    return Check(id=f"{step}/{minute}", at=minutes(minute), step=step, verdicts=verdicts)


CHECKS = (
    check("baseline", 1, verdict("latency_p99", Outcome.SUCCESSFUL, 0.4, 1.0)),
    check(
        "canary",
        7,
        verdict("latency_p99", Outcome.SUCCESSFUL, 0.95, 1.0),
        verdict("average_reward", Outcome.INCONCLUSIVE, None, 0.5),
    ),
    check(
        "canary",
        8,
        verdict("latency_p99", Outcome.FAILED, 1.2, 1.0),
        verdict("average_reward", Outcome.SUCCESSFUL, 0.66, 0.5),
    ),
)


def rolled_back_state() -> State:
    because = "errors 20.00% is not below 5.00%"
    finding = Finding(
        name="errors",
        kind="red_flag",
        verdict=Verdict(
            gate="errors", outcome=Outcome.FAILED, reason=because, severity=Severity.P0
        ),
        seen_at=minutes(9),
    )
    return State(
        rollout_id="rollout-phase4/1",
        run_id="1",
        plan=PLAN,
        started_at=START,
        baseline={
            "latency_p99": Reading(metric="latency_p99", cohort="control", at=START, value=0.4),
            "average_reward": Reading(
                metric="average_reward", cohort="control", at=START, value=0.6
            ),
        },
        rollback=Rollback(
            kind=RollbackKind.EMERGENCY,
            from_step="canary",
            to_step=None,
            reason=because,
            actor="sluice",
            requested_at=minutes(9),
            finding=finding,
            completed_at=minutes(9) + timedelta(seconds=0.2),
            confirmation="2 processes report it (0.31 s)",
        ),
        abort=Abort(actor="ann", reason="not today", requested_at=minutes(10)),
        timeline=(
            Event(at=START, kind="step", text="live", step="baseline", percentage=0),
            Event(at=minutes(6), kind="promote", text="Baseline: every gate", percentage=0),
            Event(at=minutes(6), kind="step", text="live", step="canary", percentage=5),
            Event(at=minutes(9), kind="rollback", text="emergency", step="canary", percentage=0),
            Event(at=minutes(10), kind="abort", text="not today", actor="ann", percentage=0),
        ),
    )


def report() -> Report:
    return build_report(rolled_back_state(), "Aborted", minutes(11), CHECKS)


def test_the_title_is_the_guides() -> None:
    assert report().title == "Phase 4 Demo Deployment Post-Mortem"


def test_each_stage_has_its_dates_or_was_not_reached() -> None:
    spans = {span.stage: (span.began, span.ended) for span in report().stages}
    assert spans == {
        1: (START, minutes(6)),
        4: (minutes(6), minutes(11)),
        5: (None, None),
    }


def test_impact_compares_the_baseline_with_the_last_measured_value() -> None:
    latency, reward = report().impacts
    assert (latency.group, latency.before, latency.after) == ("Latency", 0.4, 1.2)
    assert latency.after_step == "canary"
    assert latency.change == pytest.approx(2.0)
    assert (reward.group, reward.after) == ("User satisfaction", 0.66)


def test_without_a_later_measurement_no_change_is_reported() -> None:
    alone = build_report(rolled_back_state(), "Interim", minutes(11), CHECKS[:1])
    assert [(i.after, i.change) for i in alone.impacts] == [(None, None)] * 2


def test_metrics_fall_under_the_guides_lines() -> None:
    assert impact_group("intent_accuracy", "ratio") == "Accuracy"
    assert impact_group("memory", "bytes") == "Other"


def test_every_decision_of_a_person_is_kept() -> None:
    assert [(event.actor, event.text) for event in report().decisions] == [("ann", "not today")]


def test_gates_are_counted_by_outcome() -> None:
    canary = report().steps[1]
    assert canary.gates[0].outcomes == {Outcome.SUCCESSFUL: 1, Outcome.FAILED: 1}
    assert canary.gates[0].worst is Outcome.FAILED


def test_series_hold_measured_values_and_the_limits_of_their_time() -> None:
    series = {one.title: one for one in report().series}
    treated = series["latency_p99 (treatment)"]
    assert [point.value for point in treated.points] == [0.95, 1.2]
    assert [point.value for point in treated.limits["latency_p99"]] == [1.0, 1.0]
    assert [point.value for point in series["latency_p99 (control)"].points] == [0.4]


def test_lessons_come_from_the_record() -> None:
    lessons = lessons_learned(report())
    assert not any(
        "improved" in line or "got worse" in line
        for line in [*lessons.went_well, *lessons.went_wrong]
    )
    assert any("confirmed: 2 processes" in line for line in lessons.went_well)
    assert any(
        line.startswith("Emergency rollback from step canary") for line in lessons.went_wrong
    )
    assert "1 of 2 checks of latency_p99 in step canary Failed." in lessons.went_wrong
    assert any("was Inconclusive" in line for line in lessons.unexpected)
    assert any("Find out why latency_p99 failed" in line for line in lessons.recommendations)
    assert any("longer window" in line for line in lessons.recommendations)


def test_a_narrow_pass_is_reported() -> None:
    early = build_report(rolled_back_state(), "Interim", minutes(8), CHECKS[:2])
    assert any("little room" in line for line in lessons_learned(early).recommendations)


def test_an_empty_rollout_claims_nothing() -> None:
    state = State(rollout_id="r", run_id="1", plan=PLAN, started_at=START)
    lessons = lessons_learned(build_report(state, "Interim", minutes(1), ()))
    assert lessons.went_well == lessons.went_wrong == lessons.recommendations == ()


def test_only_comparable_readings_enter_the_impact() -> None:
    """Not control's after the treatment's, not two of one window, and no verdict without a gate."""
    state = rolled_back_state()
    canary = state.plan.step("canary")
    of_control = canary.gates[0].model_copy(update={"name": "control_p99", "cohort": "control"})
    amended = canary.model_copy(update={"gates": (*canary.gates, of_control)})
    steps = tuple(amended if step.name == "canary" else step for step in state.plan.steps)
    state.plan = state.plan.model_copy(update={"steps": steps})
    unlimited = verdict("latency_p99", Outcome.SUCCESSFUL, 0.5, 1.0)
    extra = check(
        "canary",
        8.2,
        unlimited.model_copy(update={"limit": None}),
        verdict("control_p99", Outcome.SUCCESSFUL, 9.0, 10.0),
        verdict("gone", Outcome.SUCCESSFUL, 0.1, 1.0),
    )
    made = build_report(state, "Aborted", minutes(11), (*CHECKS, extra))
    (impact,) = [impact for impact in made.impacts if impact.metric == "latency_p99"]
    assert impact.after == 0.5
    assert all("gone" not in series.limits for series in made.series)
