"""The post-mortem claims nothing that its readings do not show."""

from datetime import timedelta

import pytest

from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.plan.schema import ExpectedTraffic
from sluice.rollout.review.lessons import Lessons, lessons_learned
from sluice.rollout.review.report import GateRow, build_report
from sluice.rollout.review.significance import rank_test_p_value
from tests.unit.rollout.review.test_report import (
    CHECKS,
    PLAN,
    check,
    minutes,
    rolled_back_state,
    verdict,
)

STEADY = (0.40, 0.42, 0.39, 0.41, 0.40, 0.43, 0.38, 0.41, 0.40, 0.42)


def lessons_of(baseline: tuple[float, ...], canary: tuple[float, ...]) -> Lessons:
    checks = [latency_check("baseline", minute, value) for minute, value in enumerate(baseline)]
    checks += [latency_check("canary", 20 + minute, value) for minute, value in enumerate(canary)]
    return lessons_learned(build_report(rolled_back_state(), "Interim", minutes(60), checks))


def latency_check(step: str, minute: float, value: float) -> Check:
    return check(step, minute, verdict("latency_p99", Outcome.SUCCESSFUL, value, 1.0))


def test_a_metric_got_worse_only_if_its_readings_differ_by_more_than_noise() -> None:
    noisy = (0.43, 0.38, 0.44, 0.40, 0.39, 0.45, 0.41, 0.40, 0.37, 0.43)
    assert not any("got worse" in line for line in lessons_of(STEADY, noisy).went_wrong)
    slower = tuple(value + 0.2 for value in STEADY)
    assert any("latency_p99 got worse" in line for line in lessons_of(STEADY, slower).went_wrong)
    faster = tuple(value - 0.2 for value in STEADY)
    assert any("latency_p99 improved" in line for line in lessons_of(STEADY, faster).went_well)


def test_few_readings_show_nothing() -> None:
    assert not any("got worse" in line for line in lessons_of(STEADY[:3], (0.9, 0.9)).went_wrong)


@pytest.mark.parametrize(
    ("before", "after", "p_value"),
    [
        ((1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5, 6, 7, 8), 1.0),
        ((1, 2, 3, 4, 5, 6, 7, 8), (11, 12, 13, 14, 15, 16, 17, 18), 0.000939),
        ((1, 1, 1, 2, 2, 3, 3, 3), (2, 3, 3, 4, 4, 4, 5, 5), 0.008344),
    ],
)
def test_the_rank_test_gives_the_textbooks_p_value(
    before: tuple[float, ...], after: tuple[float, ...], p_value: float
) -> None:
    """Values of ``scipy.stats.mannwhitneyu(method="asymptotic")``."""
    assert rank_test_p_value(before, after) == pytest.approx(p_value, rel=0.001)


def narrow(value: float, limit: float, **fields: object) -> bool:
    """Return True if the post-mortem calls a pass with this reading narrow."""
    kind = GateKind(str(fields.pop("kind", "absolute")))
    values = {"gate": "g", "outcome": Outcome.SUCCESSFUL, "reason": "g", **fields}
    last = Verdict.model_validate({**values, "value": value, "limit": limit})
    row = GateRow(gate="g", guide="", kind=kind, outcomes={Outcome.SUCCESSFUL: 1}, last=last)
    report = build_report(rolled_back_state(), "Interim", minutes(60), CHECKS)
    step = report.steps[0].model_copy(update={"gates": (row,)})
    lessons = lessons_learned(report.model_copy(update={"steps": (step,)}))
    return any("little room" in line for line in lessons.recommendations)


def test_room_is_measured_from_the_best_reading_that_is_possible() -> None:
    assert not narrow(1.0, 0.98, unit="ratio", direction="above"), "100 % above 98 %"
    assert narrow(0.981, 0.98, unit="ratio", direction="above")
    assert narrow(0.95, 1.0, unit="seconds")
    assert not narrow(100, 110, kind="control", reference=100), "no change at all"
    assert narrow(109.5, 110, kind="control", reference=100)


def test_the_failing_reading_is_quoted_not_the_last_good_one() -> None:
    failed = verdict("latency_p99", Outcome.FAILED, 1.2, 1.0)
    failed = failed.model_copy(update={"reason": "latency_p99 1.2 s is not below 1 s"})
    checks = [check("canary", 7, failed), latency_check("canary", 8, 0.125)]
    report = build_report(rolled_back_state(), "Interim", minutes(9), checks)
    advice = [line for line in lessons_learned(report).recommendations if "Find out why" in line]
    assert advice == [
        "Find out why latency_p99 failed before the next rollout (latency_p99 1.2 s is not below 1 s)."
    ]


def test_a_persons_pause_is_no_unexpected_issue() -> None:
    state = rolled_back_state()
    state.timeline = ()
    by = Command(actor="ann", reason="lunch")
    transitions.apply_command(state, minutes(9), Verb.PAUSE, by)
    transitions.pause_automatically(state, minutes(10), "no clear verdict")
    report = build_report(state, "Interim", minutes(11), ())
    assert lessons_learned(report).unexpected == ("no clear verdict.",)
    assert [event.text for event in report.decisions] == ["lunch"]


def test_names_with_a_version_keep_it() -> None:
    plan = PLAN.model_copy(update={"name": "retriever-v2-bm25-stage4"})
    state = rolled_back_state()
    state.plan = plan
    title = build_report(state, "Interim", minutes(11), ()).title
    assert title == "Retriever V2 Bm25 Stage 4 Deployment Post-Mortem"


def test_a_rollback_has_its_blast_radius_and_its_detection_delay() -> None:
    state = rolled_back_state()
    traffic = ExpectedTraffic(queries_per_day=1000, users=2000)
    state.plan = state.plan.model_copy(update={"traffic": traffic})
    counted = verdict("latency_p99", Outcome.SUCCESSFUL, 0.4, 1.0)
    counted = counted.model_copy(update={"samples": 120.0})  # in a window of a minute: 2 a second
    report = build_report(state, "Interim", minutes(11), [check("canary", 8, counted)])
    (radius,) = report.blast_radii
    assert (radius.step, radius.percentage, radius.users) == ("canary", 5, 100)
    assert radius.exposed_for == timedelta(minutes=3, seconds=0.2)
    assert radius.detection_delay == timedelta(minutes=1)
    assert radius.queries == pytest.approx(2 * 180.2)
    assert radius.queries_since_good == pytest.approx(2 * 60.2)
    (line,) = [line for line in lessons_learned(report).went_wrong if line.startswith("Exposed")]
    assert line == (
        "Exposed to step canary: 5 % of users (about 100) for 3m; about 360 queries, 120 of them "
        "since the last good check; detected within 1m of it."
    )


def test_advice_follows_from_what_was_recorded() -> None:
    """A dry run that failed, checks that ended in Error, and a red flag each have a way on."""
    report = build_report(rolled_back_state(), "Interim", minutes(60), CHECKS)
    step = report.steps[0]
    failed = verdict("trial", Outcome.FAILED, 2.0, 1.0).model_copy(update={"dry_run": True})
    rows = (
        GateRow(gate="trial", guide="", kind=GateKind.ABSOLUTE, outcomes={Outcome.FAILED: 1},
                last=failed),
        GateRow(gate="flaky", guide="", kind=GateKind.ABSOLUTE, outcomes={Outcome.ERROR: 1},
                last=verdict("flaky", Outcome.ERROR, None, 1.0)),
    )  # fmt: skip
    rollback = report.rollbacks[0].model_copy(update={"confirmation": "2 of 2 processes"})
    lessons = lessons_learned(
        report.model_copy(
            update={
                "steps": (step.model_copy(update={"gates": rows}),),
                "rollbacks": (
                    rollback,
                    rollback.model_copy(update={"finding": None, "confirmation": ""}),
                ),
            }
        )
    )
    assert any("confirmed: 2 of 2 processes" in line for line in lessons.went_well)
    advice = "\n".join(lessons.recommendations)
    assert "Dry run of trial would have failed" in advice
    assert "Make flaky measurable at all times" in advice
    assert advice.count("Rehearse the cause of") == (rollback.finding is not None)


def test_readings_that_are_all_alike_differ_in_nothing() -> None:
    assert rank_test_p_value((1.0,) * 8, (1.0,) * 8) == 1.0


def test_exposure_is_estimated_from_the_red_flag_where_no_check_counted() -> None:
    state = rolled_back_state()
    assert state.rollback is not None
    assert state.rollback.finding is not None
    gate = state.plan.step("canary").gates[0]
    counted = state.rollback.finding.verdict.model_copy(update={"samples": 60.0})
    finding = state.rollback.finding.model_copy(update={"gate": gate, "verdict": counted})
    state.rollback = state.rollback.model_copy(update={"finding": finding})
    (radius,) = build_report(state, "Interim", minutes(11), ()).blast_radii
    assert radius.queries == pytest.approx(180.2)
