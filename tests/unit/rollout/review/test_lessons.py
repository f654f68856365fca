"""The post-mortem claims nothing that its readings do not show."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.analysis.sequential_state import SequentialState
from sluice.rollout.analysis.stats.user_means import UserMeansBlock, UserMeansTest, UserSums
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan
from sluice.rollout.review.lessons import lessons_learned
from sluice.rollout.review.report import GateRow, build_report
from tests.unit.rollout.review.test_report import (
    CHECKS,
    PLAN,
    check,
    minutes,
    rolled_back_state,
    verdict,
)

USERS = 400.0
BETTER, WORSE, ALIKE = 0.7, 0.5, 0.601


def latency_check(step: str, minute: float, value: float) -> Check:
    return check(step, minute, verdict("latency_p99", Outcome.SUCCESSFUL, value, 1.0))


def sums_of(mean: float) -> UserSums:
    """Return the sums over users whose own means spread by 0.2, each of weight 1."""
    squares = USERS * (mean**2 + 0.2**2)
    return UserSums(
        weight=USERS, value=USERS * mean, square=squares, product=USERS * mean, weight_square=USERS
    )


def compared_state(treatment: float) -> State:
    """Return a rollout whose gate compared the rewards of treated users with control's 0.6."""
    reward = {"query": "r", "unit": "score", "statistic": REWARDS}
    gate = {"name": "evidence", "metric": "users_reward", "kind": "statistical", "window": "1m"}
    document = PLAN.model_dump(mode="json")
    document["metrics"]["users_reward"] = reward
    document["steps"][1]["gates"].append(gate)
    block = UserMeansBlock(treatment=sums_of(treatment), control=sums_of(0.6))
    test = UserMeansTest(effect=0.05)
    shown = test.update(test.start(), block).model_dump(mode="json")
    state = rolled_back_state()
    state.plan = RolloutPlan.model_validate(document)
    state.sequential_states = {
        "gates/evidence": SequentialState(until=minutes(8), blocks=1, test_state=shown)
    }
    return state


REWARDS = {"test": "user_means", "sums": 'rewards{cohort=~"$cohort",sum="$sum"}', "effect": 0.05}


def judged(state: State, checks: Sequence[Check] = ()) -> list[str]:
    """Return the lines that call a metric better or worse."""
    lessons = lessons_learned(build_report(state, "Interim", minutes(60), checks))
    lines = (*lessons.went_well, *lessons.went_wrong)
    return [line for line in lines if "improved" in line or "got worse" in line]


def test_a_metric_is_better_or_worse_only_beside_the_control_of_the_same_hours() -> None:
    (better,) = judged(compared_state(BETTER))
    assert better.startswith("users_reward improved: +0.1 against the control (+0.0")
    assert better.endswith("in canary.")
    (worse,) = judged(compared_state(WORSE))
    assert worse.startswith("users_reward got worse: -0.1 against the control (-0.1")
    assert judged(compared_state(ALIKE)) == []


def test_a_change_since_the_baseline_shows_nothing() -> None:
    """Another week, another season: every reading is twice the baseline's."""
    checks = [latency_check("baseline", minute, 0.4) for minute in range(20)]
    checks += [latency_check("canary", 20 + minute, 0.8) for minute in range(20)]
    assert judged(rolled_back_state(), checks) == []


def test_a_rollback_leaves_what_the_attempt_before_it_showed() -> None:
    state = compared_state(WORSE)
    tracks = {name: track.next_attempt() for name, track in state.sequential_states.items()}
    state.sequential_states = tracks
    assert len(judged(state)) == 1
    state.sequential_states = {"gates/evidence": SequentialState(until=minutes(8))}
    assert judged(state) == []


def narrow(value: float, limit: float, **fields: object) -> bool:
    """Return True if the post-mortem calls a pass with this reading narrow."""
    kind = GateKind(str(fields.pop("kind", "absolute")))
    values = {"gate": "g", "outcome": Outcome.SUCCESSFUL, "reason": "g", **fields}
    last = Verdict.model_validate({**values, "value": value, "limit": limit})
    row = GateRow(gate="g", guide="", kind=kind, outcomes={Outcome.SUCCESSFUL: 1}, last=last)
    report = build_report(rolled_back_state(), "Interim", minutes(60), CHECKS)
    step = replace(report.steps[0], gates=(row,))
    lessons = lessons_learned(replace(report, steps=(step,)))
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
        replace(
            report,
            steps=(replace(step, gates=rows),),
            rollbacks=(
                rollback,
                rollback.model_copy(update={"finding": None, "confirmation": ""}),
            ),
        )
    )
    assert any("confirmed: 2 of 2 processes" in line for line in lessons.went_well)
    advice = "\n".join(lessons.recommendations)
    assert "Dry run of trial would have failed" in advice
    assert "Make flaky measurable at all times" in advice
    assert advice.count("Rehearse the cause of") == (rollback.finding is not None)


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
