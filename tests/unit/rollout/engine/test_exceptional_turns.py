"""Turns that a healthy rollout does not take: unreachable stores, refusals, amended and empty states."""

from datetime import timedelta

import pytest

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Command, Signer, Verb
from sluice.rollout.engine.decide import Finish, RollBack, decide, outranks_rollback
from sluice.rollout.engine.escalation import page_at, unconfirmed_since
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.preconditions import checklist_rows
from sluice.rollout.engine.start_step import start_step_problem
from sluice.rollout.engine.state import CodeRevert, RollbackKind, State
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan
from tests.unit.rollout.engine.test_decide import ALICE, START, RolloutMachine, finding
from tests.workflows.harness import PLAN

ITEMS = """checklist:
      - {name: stores, title: Stores, check: stores}
      - {name: recorded, title: Baseline, check: baseline}
      - {name: done, title: Stages done, check: earlier_steps}
      - {name: held, title: Live for a while, check: live_time, at_least: 1h}
    """
WITH_CHECKLIST = PLAN.replace("rollback_to: baseline", f"{ITEMS}rollback_to: baseline", 1)


def machine_of(plan: str) -> RolloutMachine:
    machine = RolloutMachine()
    machine.state.plan = parse_plan(plan)
    return machine


def test_an_item_that_could_not_be_checked_is_not_done() -> None:
    """The world of this machine answers no checklist; the step does not start."""
    machine = machine_of(WITH_CHECKLIST)
    machine.run(steps=60)
    result = machine.state.item_results["stores"]
    assert (result.passed, result.reason.partition(":")[0]) == (False, "could not be checked")
    assert set(machine.percentages) <= {0}, "the step that waits was not entered"


def test_rows_of_the_first_step_name_what_is_missing() -> None:
    machine = machine_of(WITH_CHECKLIST)
    machine.state.step_index = 1
    rows = {
        row.item.name: row.reason
        for row in checklist_rows(machine.state, machine.state.plan.steps[1], START)
    }
    assert rows["recorded"] == "no baseline of errors"
    assert rows["done"] == "not ended: baseline"
    assert rows["held"] == "no step is live"


def test_a_step_waits_for_its_baseline() -> None:
    """Good readings do not end the step that records the baseline before it is complete."""
    machine = RolloutMachine()
    decisions = []
    while machine.state.step_index == 0 and machine.now < START + timedelta(minutes=90):
        machine.run(steps=1)
        machine.state.baseline = {}
        decisions.append(str(decide(machine.state, machine.now)))
    assert machine.state.step_index == 0
    assert any("baseline not complete: no data for errors" in text for text in decisions)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ""),
        ("baseline", ""),
        ("ramp", "the plan has no step 'ramp'; it has baseline, dark"),
        ("ramp-5", ""),
    ],
)
def test_a_lost_rollout_begins_at_a_step_of_the_plan(name: str, words: str) -> None:
    assert start_step_problem(parse_plan(PLAN), name).startswith(words)
    assert bool(start_step_problem(parse_plan(PLAN), name)) == bool(words)


def test_a_lost_baseline_can_not_be_compared_with() -> None:
    relative = "{metric: errors, kind: baseline, threshold: +10%, window: 5m, min_samples: 10}"
    text = PLAN.replace(
        "gates: &gates\n", f"gates: &gates\n      - {relative[:-1]}, name: held}}\n"
    )
    assert "compare with the baseline that baseline records" in start_step_problem(
        parse_plan(text), "ramp-5"
    )


@pytest.mark.parametrize(
    ("actor", "signer", "proof"),
    [
        ("sluice", None, ""),
        ("ann", None, "unverified"),
        ("ann", Signer(name="ann", fingerprint="SHA256:a"), "signed SHA256:a"),
        (
            "ann",
            Signer(name="ann", fingerprint="SHA256:c", gateway="console"),
            "login, vouched for by the console (repudiable)",
        ),
    ],
)
def test_an_event_says_who_proved_it(actor: str, signer: Signer | None, proof: str) -> None:
    event = Event(at=START, kind="approve", text="t", actor=actor, signer=signer)
    assert event.proof_text == proof


def test_an_ended_rollout_pages_nobody() -> None:
    machine = RolloutMachine()
    machine.run()
    assert machine.state.has_ended
    assert unconfirmed_since(machine.state) is None
    assert page_at(machine.state) is None


def test_a_finding_whose_cause_is_over_restarts_stability() -> None:
    """It is not muted: the same cause again is news."""
    machine = RolloutMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    over = finding(Severity.P3).model_copy(update={"is_over": True})
    transitions.raise_finding(machine.state, machine.now, over)
    transitions.record_finding(machine.state, machine.now, over)
    assert machine.state.red_flags.finding is None
    assert machine.state.silent_findings == ()
    assert machine.state.clock.stable_since is None


def test_a_refused_rollback_pages_once() -> None:
    machine = machine_of(PLAN.replace("metrics:", "notify: [{channel: log}]\nmetrics:", 1))
    for _ in range(3):
        transitions.record_refused_rollback(machine.state, START, "the disk is full")
    refused = [event for event in machine.state.timeline if event.kind == "problem"]
    assert [event.text for event in refused] == [
        "can't lower the flag, trying again: the disk is full"
    ]
    assert len(machine.state.outbox.open_alerts) == 1


def test_what_an_emergency_outranks() -> None:
    p0 = finding(Severity.P0)
    assert not outranks_rollback(None, RollbackKind.GRACEFUL)
    assert not outranks_rollback(p0, RollbackKind.EMERGENCY)
    assert not outranks_rollback(finding(Severity.P1), RollbackKind.GRACEFUL)
    assert outranks_rollback(p0, RollbackKind.GRACEFUL)
    assert outranks_rollback(finding(Severity.P2, "killed"), RollbackKind.STEP_BACK)


def waiting_at_hundred(plan: RolloutPlan | None = None) -> State:
    machine = RolloutMachine()
    machine.state.plan = plan or machine.state.plan
    while machine.state.step is None or machine.state.step.name != "ramp-100":
        machine.run(steps=1)
    return machine.state


@pytest.mark.parametrize(("hold", "is_kept"), [("1h", True), ("2h", False)])
def test_an_amended_step_is_approved_again(hold: str, is_kept: bool) -> None:
    """An approval of a step that changed is void; another step's change voids nothing."""
    state = waiting_at_hundred()
    state.entry = state.entry.model_copy(update={"overridden_by": "ann"})
    before, after = PLAN.split("  - name: ramp-100")
    text = before + "  - name: ramp-100" + after.replace("hold: 1h", f"hold: {hold}")
    command = ALICE.model_copy(update={"plan": parse_plan(text)})
    transitions.apply_command(state, START, Verb.AMEND, command)
    assert state.entry.overridden_by == ("ann" if is_kept else "")


@pytest.mark.parametrize(
    ("revert", "outcome"),
    [(None, ""), (CodeRevert(requested_at=START, requested_by="ann"), "reverted")],
)
def test_the_end_of_a_revert_is_in_the_timeline(revert: CodeRevert | None, outcome: str) -> None:
    """Also after a retry has taken the revert out of the state."""
    state = RolloutMachine().state
    state.code_revert = revert
    transitions.record_revert(state, START, "reverted", "abcdef1 is out")
    assert state.timeline[-1].text == "reverted: abcdef1 is out"
    assert (state.code_revert.outcome if state.code_revert else "") == outcome


def test_writes_and_answers_after_an_abort_was_taken_back_change_nothing_else() -> None:
    """A late receipt of an abort is noted; a state without an abort gets none by it."""
    state = RolloutMachine().state
    transitions.record_abort_write(state, START, 0)
    transitions.confirm_abort(state, START, "all of them")
    assert state.abort is None
    assert state.timeline[-1].text == "all of them"


def test_a_retry_without_a_rollback_begins_the_step_again() -> None:
    state = waiting_at_hundred()
    transitions.apply_command(state, START, Verb.RETRY, Command(actor="ann", reason="again"))
    assert state.step is not None
    assert (state.step.name, state.entry.overridden_by) == ("ramp-100", "ann")


def test_an_inconclusive_start_is_never_taken_for_good() -> None:
    machine = RolloutMachine()
    machine.run(Outcome.INCONCLUSIVE, steps=40)
    assert machine.state.step_index == 0


class OvertakenMachine(RolloutMachine):
    """A person aborts while the store takes a rollback's write."""

    async def write(self, write: FlagWrite) -> FlagReceipt:
        receipt = await super().write(write)
        if write.is_rollback:
            transitions.request_abort(self.state, self.now, "ann", "enough")
        return receipt


def test_a_rollback_that_an_abort_overtakes_is_not_complete() -> None:
    """The abort's own write is the one that counts."""
    machine = OvertakenMachine()
    while machine.state.percentage != 5:
        machine.run(steps=1)
    machine.execute(RollBack(RollbackKind.EMERGENCY, "errors"), Outcome.SUCCESSFUL)
    assert machine.state.pending_rollback is not None
    assert isinstance(decide(machine.state, machine.now), Finish)


def test_late_answers_and_pages_of_a_rollback_that_is_over_change_nothing() -> None:
    """A page is about the rollback it was due for, and so is a confirmation."""
    state = RolloutMachine().state
    rollback = transitions.start_rollback(state, START, RollbackKind.EMERGENCY, ALICE)
    due_at = page_at(state)
    assert due_at is not None
    transitions.complete_rollback(state, START, rollback, 0)
    done = state.rollback
    assert done is not None
    transitions.confirm_rollback(state, START, rollback, "an earlier write")
    assert state.rollback is done
    transitions.confirm_rollback(state, START, done, "all of them")
    events = state.timeline
    transitions.page_slow_rollback(state, due_at, due_at)
    assert (state.timeline, state.outbox.paged_rollback_at) == (events, None)
