"""Replay under edited rules: the same judge and decisions on recorded readings, and a reason for the rest."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from sluice.cli.commands.plan_edits.whatif import amend_hint, replay_with_overrides
from sluice.cli.views.whatif import whatif_document, whatif_text
from sluice.rollout.analysis.gate import Gate, Metric, Severity
from sluice.rollout.analysis.judge import judge
from sluice.rollout.analysis.reading import GateReadings, Reading
from sluice.rollout.analysis.verdict import Check, Outcome
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Finding, State, Status
from sluice.rollout.errors import OverrideError
from sluice.rollout.plan.overrides import RuleRef, override_plan, parse_override, with_overrides
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review import whatif_replay
from sluice.rollout.review.explain import RecordedCheck
from sluice.rollout.review.whatif import editable_rules, rejudge

BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)
METRICS = {
    "p99": {"query": "p99", "samples": "n", "unit": "seconds"},
    "errors": {"query": "e", "samples": "n", "unit": "ratio"},
}
P99 = {"name": "p99", "metric": "p99", "threshold": "1s", "window": "1h", "min_samples": 100}
SPIKE = {"name": "spike", "metric": "errors", "threshold": "5%", "window": "5m"}
TIMES = {"interval": "1h", "hold": "4h", "stable_for": "2h", "deadline": "8h", "stage": 4}
PLAN = RolloutPlan.model_validate(
    {
        "name": "p",
        "flag": "f",
        "metrics": METRICS,
        "steps": [
            {"name": "one", "title": "One", "percentage": 5, **TIMES, "gates": [P99]},
            {
                "name": "two", "title": "Two", "percentage": 25, **TIMES, "gates": [P99],
                "red_flags": [SPIKE], "rollback_to": "one",
            },
        ],
    }
)  # fmt: skip
GATE = PLAN.steps[0].gates[0]


def reading(value: float | None, samples: float = 500, metric: str = "p99") -> Reading:
    return Reading(metric=metric, cohort="treatment", at=BEGAN, value=value, samples=samples)


def recorded_checks(
    step: str, hours: Sequence[float], values: Sequence[float | None]
) -> list[RecordedCheck]:
    checks = []
    for hour, value in zip(hours, values, strict=True):
        verdict = judge(GATE, PLAN.metrics["p99"], GateReadings(reading=reading(value)))
        at = BEGAN + timedelta(hours=hour)
        check = Check(id=f"{step}/{hour:g}", at=at, step=step, verdicts=(verdict,))
        checks.append(RecordedCheck(check=check, gates=(GATE,), metrics=PLAN.metrics))
    return checks


def live_event(step: str, hour: float, percentage: float) -> Event:
    at = BEGAN + timedelta(hours=hour)
    return Event(at=at, kind="step", text="live", step=step, percentage=percentage)


def spike_finding(hour: float, value: float) -> Finding:
    gate = PLAN.steps[1].red_flags[0]
    verdict = judge(
        gate, PLAN.metrics["errors"], GateReadings(reading=reading(value, metric="errors"))
    )
    at = BEGAN + timedelta(hours=hour)
    return Finding(name="spike", kind="red_flag", verdict=verdict, gate=gate, seen_at=at)


def red_flag_event(finding: Finding) -> Event:
    body = finding.model_dump_json()
    text = f"P0 {finding.verdict.reason}"
    return Event(at=finding.seen_at, kind="red_flag", text=text, finding=body)


CHECKS = [
    *recorded_checks("one", (1, 2, 3, 4), (0.7, 0.7, 0.9, 0.7)),
    *recorded_checks("two", (5, 6), (0.7, None)),
]
EVENTS = [
    live_event("one", 0, 5),
    live_event("two", 4.1, 25),
    red_flag_event(spike_finding(6.5, 0.06)),
]
RECORD = (CHECKS, EVENTS)


def test_without_a_change_everything_comes_out_as_recorded() -> None:
    """The same rule on the same reading gives the same verdict, sentence included."""
    changes, course = replay_with_overrides(
        ["one.p99.threshold=1s", "two.p99.threshold=1"], RECORD, PLAN
    )
    assert [change.after for change in changes] == [change.before for change in changes]
    assert [(v.before.kind, v.after.kind) for v in course] == [
        ("promoted", "promoted"),
        ("rolled back", "rolled back"),
    ]
    assert "the same way" in whatif_text("rollout-f/1", changes, course, PLAN)


def test_a_stricter_threshold_fails_a_check_and_holds_the_step_back() -> None:
    """Stability starts again after the failed check, so its record ends undecided."""
    changes, course = replay_with_overrides(["one.p99.threshold=0.8"], RECORD, PLAN)
    (change,) = [one for one in changes if one.differs]
    assert (change.source, change.after.outcome) == ("one/3", Outcome.FAILED)
    assert change.after.reason == "p99 900 ms is not below 800 ms, 500 samples"
    (visit,) = course
    assert (visit.before.kind, visit.before.at) == ("promoted", BEGAN + timedelta(hours=4))
    assert visit.after.kind == "undecided"
    assert visit.after.reason.endswith("one/4 was Successful, but that had not lasted yet")
    text = whatif_text("rollout-f/1", changes, course, PLAN)
    assert "would have differed from one on" in text
    assert whatif_document("rollout-f/1", ["x"], changes, course)["changed"] == 1


def test_a_red_flag_that_would_not_have_fired_takes_no_traffic_away() -> None:
    """On the reading with which it fired; a looser one would have let the step go on."""
    changes, course = replay_with_overrides(["two.spike.threshold=10%"], RECORD, PLAN)
    (change,) = changes
    assert (change.before.outcome, change.after.outcome) == (Outcome.FAILED, Outcome.SUCCESSFUL)
    assert [visit.after.kind for visit in course] == ["promoted", "undecided"]
    assert [one.kind for one in (course[1].before, course[1].after)] == ["rolled back", "undecided"]


def test_an_end_whose_cause_turns_successful_is_not_called_the_same() -> None:
    """The replay may not reproduce the recorded end; then nothing is concluded from it."""
    failing = CHECKS[2]
    ended = Event(
        at=failing.check.at,
        kind="rollback",
        text=f"step back to 0 %: deadline of One: {failing.check.reason}",
        step="one",
    )
    record = (CHECKS[:3], [live_event("one", 0, 5), ended])
    changes, course = replay_with_overrides(["one.p99.threshold=0.95"], record, PLAN)
    text = whatif_text("rollout-f/1", changes, course, PLAN)
    assert "the same way" not in text
    strict = replay_with_overrides(["one.p99.threshold=0.85"], record, PLAN)
    loose = replay_with_overrides(["one.p99.threshold=0.99"], strict_record(record), PLAN)
    text = whatif_text("rollout-f/1", *loose, PLAN)
    assert "turns Successful, so the rollout would have differed" in text
    assert any(change.differs for change in strict[0])


def strict_record(
    record: tuple[list[RecordedCheck], list[Event]],
) -> tuple[list[RecordedCheck], list[Event]]:
    """Return the record with its last check failed by the rule of that time."""
    checks, (live, ended) = record
    gate = GATE.model_copy(update={"threshold": 0.8})
    verdict = judge(gate, PLAN.metrics["p99"], GateReadings(reading=reading(0.9)))
    check = checks[-1].check.model_copy(update={"verdicts": (verdict,)})
    last = RecordedCheck(check=check, gates=(gate,), metrics=PLAN.metrics)
    text = f"step back to 0 %: deadline of One: {verdict.reason}"
    return [*checks[:-1], last], [live, ended.model_copy(update={"text": text})]


def test_no_data_is_judged_by_the_edited_policy() -> None:
    changes, _ = replay_with_overrides(["two.p99.on_no_data=fail"], RECORD, PLAN)
    assert [change.after.outcome for change in changes] == [Outcome.SUCCESSFUL, Outcome.FAILED]


def test_a_dry_run_red_flag_acts_no_more() -> None:
    _, course = replay_with_overrides(["two.spike.dry_run=true"], RECORD, PLAN)
    assert course[-1].after.kind == "undecided"


def test_without_the_plan_only_verdicts_are_returned() -> None:
    changes, course = replay_with_overrides(["one.p99.threshold=0.8"], RECORD, None)
    assert (sum(change.differs for change in changes), course) == (1, [])
    assert "does not answer" in whatif_text("rollout-f/1", changes, course, None)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("p99", "write STEP.GATE.FIELD=VALUE, for example one.p99.threshold=1"),
        ("three.p99.threshold=1", "no such step; recorded are one, two"),
        ("two.p90.threshold=1", "two has no gate 'p90'; it has p99, spike"),
        ("two.p99.limit=1", "no field 'limit'; there are threshold, direction"),
        ("two.p99.window=2h", "readings over another window were never taken"),
        ("two.p99.threshold=fast", "threshold: 'fast' is not a threshold"),
        ("two.p99.floor=1", "floor belongs to baseline and control gates"),
    ],
)
def test_an_invalid_override_lists_the_valid_rules(edit: str, message: str) -> None:
    with pytest.raises(OverrideError) as caught:
        replay_with_overrides([edit], RECORD, PLAN)
    assert message in str(caught.value)


CONTROL = Gate.model_validate({**P99, "kind": "control", "threshold": "+10%", "min_samples": 100})


@pytest.mark.parametrize(
    ("own", "of_control", "least", "known"),
    [
        (500, 500, 50, True),  # enough then, so enough for less
        (500, 500, 300, False),
        (200, 500, 300, True),  # too few of its own
        (500, 40, 100, True),
        (500, 40, 200, True),  # too few for less, so too few for more
        (500, 40, 10, False),
    ],
)
def test_samples_of_control_that_were_not_recorded_are_not_made_up(
    own: float, of_control: float, least: int, known: bool
) -> None:
    """A replayed verdict is the judge's; an unreplayable one stays, with the reason."""
    metric = Metric.model_validate(METRICS["p99"])
    measured = GateReadings(reading=reading(0.5, own), reference=reading(0.5, of_control))
    before = judge(CONTROL, metric, measured)
    rule = [RuleRef("s", "gates", CONTROL)]
    after = with_overrides(CONTROL, [parse_override(f"s.p99.min_samples={least}", rule)])
    verdict, unknown = rejudge(before, (CONTROL, after), {"p99": metric})
    assert bool(unknown) is not known
    assert verdict.outcome is (judge(after, metric, measured).outcome if known else before.outcome)


def test_a_metric_that_was_not_recorded_leaves_its_verdict() -> None:
    check = CHECKS[0].model_copy(update={"metrics": {}})
    (change, *_), _ = replay_with_overrides(["one.p99.threshold=0.1"], ([check], []), None)
    assert not change.differs
    verdict, unknown = rejudge(check.check.verdicts[0], (GATE, GATE), {})
    assert (verdict, unknown) == (check.check.verdicts[0], "what p99 is was not recorded")


@pytest.mark.parametrize("outcome", [Outcome.ERROR, Outcome.SUCCESSFUL])
def test_an_error_is_not_judged_again(outcome: Outcome) -> None:
    """A failed measurement stays an Error under any threshold."""
    verdict = CHECKS[0].check.verdicts[0].model_copy(update={"outcome": outcome})
    strict = GATE.model_copy(update={"threshold": 0.001})
    judged, unknown = rejudge(verdict, (GATE, strict), PLAN.metrics)
    assert unknown == ""
    assert judged.outcome is (Outcome.ERROR if outcome is Outcome.ERROR else Outcome.FAILED)


def test_a_control_gate_without_samples_needs_none_of_control() -> None:
    uncounted = CONTROL.model_copy(update={"min_samples": 0})
    metric = PLAN.metrics["p99"]
    before = judge(uncounted, metric, GateReadings(reading=reading(0.5), reference=reading(0.5)))
    loose = uncounted.model_copy(update={"threshold": 0.9})
    assert rejudge(before, (uncounted, loose), PLAN.metrics)[0].outcome is Outcome.SUCCESSFUL


def test_rules_of_findings_without_a_gate_cannot_be_edited() -> None:
    """A kill or a drift of the flag has no threshold."""
    killed = spike_finding(5, 0.5).model_copy(update={"kind": "killed", "gate": None})
    assert editable_rules([], [("two", killed)], None) == []


def test_a_replay_that_does_not_end_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatif_replay, "DECISIONS_MAX", 1)
    _, course = replay_with_overrides(["one.p99.threshold=1s"], RECORD, PLAN)
    assert course[0].after.kind == "undecided"
    assert course[0].after.reason.endswith("no check was recorded")


def test_a_red_flag_of_low_severity_only_restarts_stability() -> None:
    noted = spike_finding(5.5, 0.5)
    low = noted.model_copy(
        update={"verdict": noted.verdict.model_copy(update={"severity": Severity.P3})}
    )
    record = (CHECKS, [live_event("one", 0, 5), live_event("two", 4, 25), red_flag_event(low)])
    _, course = replay_with_overrides(["two.p99.threshold=1"], record, PLAN)
    assert course[-1].after.kind != "rolled back"


def test_a_better_rule_comes_with_the_command_that_amends_the_rollout() -> None:
    """The command's own words give the rules that were replayed; an ended rollout has no command."""
    state = State(rollout_id="r", run_id="1", plan=PLAN, started_at=BEGAN)
    wanted = ["two.spike.threshold=8%", "one.p99.min_samples=50"]
    command = shlex.split(amend_hint(state, wanted).partition(": ")[2])
    assert command[:3] == ["sluice", "amend", "f"]
    assert command[3::2] == ["--set", "--set", "-m"]
    rules = editable_rules([], [], PLAN)
    amended = override_plan(PLAN, [parse_override(text, rules) for text in command[4:8:2]])
    assert amended.steps[1].red_flags[0].threshold == pytest.approx(0.08)
    assert amended.steps[0].gates[0].min_samples == 50
    assert amend_hint(state.model_copy(update={"status": Status.ABORTED}), wanted) == ""
    assert amend_hint(None, wanted) == ""
