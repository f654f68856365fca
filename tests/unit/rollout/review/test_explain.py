"""Each decision can be explained from the record alone, with value, limit, samples, window and rule."""

from datetime import UTC, datetime, timedelta

from activities.contract.timeline_ledger import merge_timelines
from sluice.rollout.analysis.gate import Gate, GateKind, Metric, Severity
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Finding
from sluice.rollout.review.explain import Explanation, RecordedCheck, explain, summarize_rule

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
P99 = Metric(query='p99{cohort=~"$cohort"}[$window]', samples="n", unit="seconds")
GATE = Gate.model_validate(
    {
        "name": "latency_p99",
        "metric": "p99",
        "threshold": "1s",
        "window": "1h",
        "min_samples": 50,
        "guide": "P99 <1s",
    }
)


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


def recorded_check(step: str, minute: float, value: float, outcome: Outcome) -> RecordedCheck:
    verdict = Verdict(
        gate=GATE.name,
        outcome=outcome,
        reason=f"latency_p99 {value} s",
        value=value,
        limit=1.0,
        samples=1200,
        unit="seconds",
    )
    check = Check(id=f"{step}/{minute:g}", at=minutes(minute), step=step, verdicts=(verdict,))
    return RecordedCheck(check=check, gates=(GATE,), metrics={"p99": P99})


def event(kind: str, minute: float, text: str, step: str = "five") -> Event:
    return Event(at=minutes(minute), kind=kind, text=text, step=step, percentage=5)


CHECKS = (
    recorded_check("five", 1, 0.4, Outcome.SUCCESSFUL),
    recorded_check("five", 2, 0.5, Outcome.SUCCESSFUL),
    recorded_check("ten", 4, 2.0, Outcome.FAILED),
)


def explain_one(kind: str, minute: float, text: str, step: str = "five") -> Explanation:
    (one,) = explain([event(kind, minute, text, step)], CHECKS, [RED_FLAG])
    return one


RED_FLAG = Finding(
    name="error_spike",
    kind="red_flag",
    verdict=Verdict(
        gate="error_spike",
        outcome=Outcome.FAILED,
        reason="error_spike 11.00% is not below 5.00%, 135 samples",
        value=0.11,
        limit=0.05,
        samples=135,
        unit="ratio",
        severity=Severity.P0,
    ),
    gate=Gate.model_validate(
        {
            "name": "error_spike",
            "metric": "errors",
            "threshold": "5%",
            "window": "5m",
            "runbook": "docs/runbooks/error_spike.md",
        }
    ),
    seen_at=minutes(2.5),
)


def test_a_promotion_rests_on_the_last_check_of_its_step() -> None:
    one = explain_one("promote", 2.1, "Five: every gate was Successful")
    assert (one.source, one.measured_at) == ("five/2", minutes(2))
    (evidence,) = one.evidence
    assert (evidence.verdict.value, evidence.verdict.limit, evidence.verdict.samples) == (
        0.5,
        1,
        1200,
    )
    assert evidence.rule is not None
    assert evidence.rule.window_seconds == 3600
    assert evidence.rule.query == 'p99{cohort=~"treatment"}[1h]'
    assert evidence.rule.text == (
        "p99 (treatment) below 1.00 s, over 1h, at least 50 samples, else hold, no data: hold"
    )


def test_a_decision_never_rests_on_what_was_measured_later() -> None:
    assert explain_one("promote", 1.5, "Five").source == "five/1"
    assert explain_one("promote", 0.5, "Five").evidence == ()


def test_a_rollback_by_a_red_flag_rests_on_that_red_flag() -> None:
    one = explain_one("rollback", 2.6, f"emergency to 0 %: {RED_FLAG.verdict.reason}")
    assert (one.source, one.measured_at) == ("error_spike", minutes(2.5))
    assert one.runbook == "docs/runbooks/error_spike.md"
    assert one.evidence[0].verdict.value == 0.11
    assert one.evidence[0].rule is not None
    assert "over 5m" in one.evidence[0].rule.text


def test_the_limit_of_a_red_flag_has_the_unit_of_its_metric() -> None:
    ratio = P99.model_copy(update={"unit": "ratio"})
    check = RecordedCheck(check=CHECKS[0].check, gates=(GATE,), metrics={"errors": ratio})
    rollback = event("rollback", 2.6, f"emergency to 0 %: {RED_FLAG.verdict.reason}")
    (one,) = explain([rollback], [check], [RED_FLAG])
    assert one.evidence[0].rule is not None
    assert one.evidence[0].rule.text.startswith("errors (treatment) below 5.00%, over 5m")


def test_a_rollback_at_the_deadline_rests_on_the_failed_check() -> None:
    assert explain_one("rollback", 5, "step back to 5 %: deadline", "ten").source == "ten/4"


def test_an_approval_rests_on_what_the_step_before_showed() -> None:
    assert explain_one("approve", 3, "looks good", "ten").source == "five/2"


def test_what_needs_no_measurement_shows_none() -> None:
    one = explain_one("abort", 9, "not today")
    assert (one.text, one.evidence, one.source) == ("not today", (), "")


def test_rules_of_every_kind_are_put_into_words() -> None:
    relative = GATE.model_copy(
        update={"kind": GateKind.BASELINE, "threshold": 0.1, "floor": 0.5, "consecutive": 3}
    )
    assert summarize_rule(relative, P99).text.startswith(
        "p99 (treatment) below recorded baseline +10%, never stricter than 500 ms, over 1h"
    )
    assert "3 times in a row" in summarize_rule(relative, P99).text
    trend = GATE.model_copy(update={"kind": GateKind.TREND, "threshold": 0.0, "dry_run": True})
    assert summarize_rule(trend, P99).text.startswith(
        "slope of p99 (treatment) below 0 ms an hour, over 1h"
    )
    assert summarize_rule(trend, P99).text.endswith("dry run")
    assert summarize_rule(trend, P99).query.startswith("3600 * deriv((")


def test_the_ledger_and_the_state_make_one_timeline() -> None:
    """The state keeps its last lines only; lines that the ledger has too appear once."""
    first, second, third = (event("step", minute, str(minute)) for minute in (1, 2, 3))
    assert merge_timelines([first, second], [second, third]) == (first, second, third)


def test_a_rule_of_many_decisions_is_put_into_words_once() -> None:
    events = [event("promote", 3, "five: fine"), event("promote", 3.5, "five: fine")]
    first, second = explain(events, CHECKS, [])
    assert first.evidence
    assert first.evidence == second.evidence
