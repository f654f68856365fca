"""The preconditions of a step: checklist, freezes, and live readings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.commands import Verb
from sluice.rollout.engine.decide import EnterStep, decide
from sluice.rollout.engine.preconditions import (
    blocked_reason,
    blockers,
    checklist_rows,
    items_due,
)
from sluice.rollout.engine.transitions.steps import record_item_results
from sluice.rollout.errors import PlanError
from sluice.rollout.plan.checklist import ItemResult
from sluice.rollout.plan.loader import parse_plan
from tests.unit.rollout.engine.precondition_world import (
    PLAN,
    START,
    PreconditionWorld,
    command_by,
    plan_with,
)


@pytest.fixture
def world() -> PreconditionWorld:
    it = PreconditionWorld()
    it.run_until_waiting()
    return it


def test_a_step_starts_when_all_is_there(world: PreconditionWorld) -> None:
    """Checklist, two different approvers, nothing frozen, readings Successful: then, and not before."""
    world.complete_checklist()
    assert "2 more" in blocked_reason(world.state, world.now)
    assert world.submit(Verb.APPROVE, command_by("ann", world.newest_evidence_id())) == ""
    assert "1 more" in blocked_reason(world.state, world.now)
    assert not isinstance(decide(world.state, world.now), EnterStep)
    assert world.submit(Verb.APPROVE, command_by("bob", world.newest_evidence_id())) == ""
    assert isinstance(world.execute_next(), EnterStep)
    assert world.state.entry.approvals == ()


def test_failed_and_expired_items_are_rechecked(world: PreconditionWorld) -> None:
    """retry_every after a no, valid_for after a yes."""
    assert world.state.item_results["stores"].passed
    first = world.state.item_results["stores"].at
    while world.state.item_results["stores"].at == first:
        world.execute_next()
    assert world.state.item_results["stores"].at - first >= timedelta(hours=1)
    world.stores_healthy = False
    while world.state.item_results["stores"].passed:
        world.execute_next()
    failed = world.state.item_results["stores"].at
    while world.state.item_results["stores"].at == failed:
        world.execute_next()
    assert world.state.item_results["stores"].at - failed < timedelta(minutes=3)


def test_a_look_that_takes_longer_than_its_period_is_not_repeated_at_once(
    world: PreconditionWorld,
) -> None:
    """The rollout waits between two looks, and publishes what it waits for."""
    state, began = world.state, world.now
    no = ItemResult(item="stores", passed=False, reason="slow", at=began)
    ended = began + 10 * state.plan.checklists.retry_every
    record_item_results(state, ended, (no,))
    assert state.step is not None
    assert not any(item.name == "stores" for item in items_due(state, state.step, ended))


def test_only_manual_items_can_be_attested_and_also_early() -> None:
    """An item of a later step may be attested at once; a machine's, an unknown one, twice: refused."""
    world = PreconditionWorld()
    assert "is checked automatically (stores)" in world.submit(
        Verb.ATTEST, command_by("ann", item="stores")
    )
    assert "people attest trained" in world.submit(Verb.ATTEST, command_by("ann", item="taught"))
    assert world.submit(Verb.ATTEST, command_by("ann", item="trained")) == ""
    assert "attested by ann already" in world.submit(Verb.ATTEST, command_by("bob", item="trained"))
    assert world.state.timeline[-1].text == "trained: test"


def test_nothing_is_raised_in_a_freeze_and_rollbacks_are() -> None:
    """Friday's approval starts the step on Monday; promote says until when; going down stays free."""
    world = PreconditionWorld()
    world.state.started_at = world.now = datetime(2026, 11, 27, 18, tzinfo=UTC)
    world.run_until_waiting()
    world.complete_checklist()
    for actor in ("ann", "bob"):
        world.submit(Verb.APPROVE, command_by(actor, world.newest_evidence_id()))
    while not world.state.clock.started_at:
        frozen_now = world.now >= datetime(2026, 11, 28, tzinfo=UTC)
        if frozen_now and world.now < datetime(2026, 11, 30, tzinfo=UTC):
            (held,) = blockers(world.state, world.current_step(), world.now)
            assert "freeze weekend (rest) until Mon 2026-11-30 00:00 UTC" in held.reason
            assert "nothing is raised now" in world.submit(Verb.PROMOTE, command_by("ann"))
            assert rejection_reason(world.state, Verb.ABORT, command_by("ann"), world.now) == ""
        world.execute_next()
    assert world.step_entries[-1] == ("ramp", world.now)


def test_a_freeze_with_bad_readings_at_its_end_goes_on_waiting() -> None:
    """A check that was Successful on Friday must pass again on Monday."""
    world = PreconditionWorld(
        parse_plan("".join(x for x in PLAN.splitlines(True) if "approval:" not in x))
    )
    world.state.started_at = world.now = datetime(2026, 11, 27, 20, tzinfo=UTC)
    world.run_until_waiting()
    world.submit(Verb.ATTEST, command_by("ann", item="trained"))
    world.now = datetime(2026, 11, 29, 23, 50, tzinfo=UTC)
    world.outcome = Outcome.FAILED
    while world.now < datetime(2026, 11, 30, 3, tzinfo=UTC):
        world.execute_next()
    assert world.state.clock.started_at is None
    assert "dark is Failed meanwhile" in blocked_reason(world.state, world.now)
    world.outcome = Outcome.SUCCESSFUL
    while not world.state.clock.started_at:
        world.execute_next()


EVENTS = st.one_of(
    st.tuples(st.just("act"), st.sampled_from(list(Outcome)), st.booleans()),
    st.tuples(st.just("approve"), st.sampled_from(["ann", "bob", "cyd", "eve"]), st.booleans()),
    st.tuples(st.just("attest"), st.sampled_from(["ann", "eve"]), st.booleans()),
    st.tuples(st.just("promote"), st.just("cyd"), st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=150), st.integers(0, 7 * 24))
def test_no_step_is_raised_without_everything(
    events: list[tuple[str, object, bool]], hours: int
) -> None:
    """Whatever comes in whatever order: a raise has its checklist, its people, and no freeze."""
    world = PreconditionWorld()
    world.state.started_at = world.now = START + timedelta(hours=hours)
    for kind, what, good in events:
        state = world.state
        if kind == "act":
            world.outcome, world.stores_healthy = Outcome(str(what)), good
            approved = set(state.approved_by)
            lines = checklist_rows(state, state.step, world.now) if state.step else []
            overruled, evidence, now = state.entry.overridden_by, state.checks.latest, world.now
            if isinstance(world.execute_next(), EnterStep) and state.percentage == 50:
                assert all(line.done for line in lines)
                assert len(approved & {"ann", "bob", "cyd"}) >= 2
                assert now.weekday() < 5
                assert evidence is not None
                assert overruled or evidence.outcome is Outcome.SUCCESSFUL
        else:
            shown = state.checks.latest.id if state.checks.latest and good else ""
            world.submit(
                Verb(kind), command_by(str(what), shown, "trained" if kind == "attest" else "")
            )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("eligible_approvers: [ann, bob, cyd]", "eligible_approvers: [ann]", "name more"),
        (
            "eligible_approvers: [ann, bob, cyd]",
            "eligible_approvers: [ann, ann, bob]",
            "somebody twice",
        ),
        ("evidence_max_age: 30m", "evidence_max_age: 1s", "at least 10s"),
        ("expires_after: 1d", "expires_after: 0s", "longer than zero"),
        ("retry_every: 1m", "retry_every: 2h", "not longer than valid_for"),
        ("name: trained", "name: stores", "'stores' is used twice; attest names one item"),
        ("check: stores", "check: dashboards", "check: dashboards needs names"),
        ("check: stores", "check: gate", "check: gate needs a gate"),
        ("check: stores", "check: baseline", "the plan has no baselines"),
        ("at_least: 90m", "names: [x]", "names belong to"),
        (", at_least: 90m", "", "check: live_time needs at_least"),
        ("days: sat-sun", "hours: 00:00-24:00", "leave no moment of the week"),
        (
            "check: stores",
            "check: gate, gate: {metric: errs, threshold: 1, window: 5m}",
            "'errs' is not under metrics",
        ),
    ],
)
def test_a_plan_that_asks_people_for_the_impossible_is_refused(
    old: str, new: str, what: str
) -> None:
    """Found by ``sluice lint``, not in the third week."""
    with pytest.raises(PlanError, match=what):
        plan_with(old, new)
