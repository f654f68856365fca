"""What a step waits for before it starts: checklist, freezes, and the live readings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.before import checklist, hindrances, still_waiting
from rollout.commands import Verb
from rollout.decide import Enter, decide
from rollout.errors import PlanError
from rollout.permit import refusal
from rollout.plan_yaml import parse_plan
from rollout.verdict import Outcome
from tests.unit.waiting_world import PLAN, START, World, by, plan


@pytest.fixture
def world() -> World:
    it = World()
    it.until_waiting()
    return it


def test_a_step_starts_when_all_is_there(world: World) -> None:
    """Checklist, two different approvers, nothing frozen, readings Successful: then, and not before."""
    world.complete()
    assert "2 more" in still_waiting(world.state, world.now)
    assert world.say(Verb.APPROVE, by("ann", world.newest())) == ""
    assert "1 more" in still_waiting(world.state, world.now)
    assert not isinstance(decide(world.state, world.now), Enter)
    assert world.say(Verb.APPROVE, by("bob", world.newest())) == ""
    assert isinstance(world.act(), Enter)
    assert world.state.approvals == ()


def test_a_failed_item_is_looked_at_again_and_an_old_one_too(world: World) -> None:
    """retry_every after a no, valid_for after a yes."""
    assert world.state.answers["stores"].passed
    first = world.state.answers["stores"].at
    while world.state.answers["stores"].at == first:
        world.act()
    assert world.state.answers["stores"].at - first >= timedelta(hours=1)
    world.stores_well = False
    while world.state.answers["stores"].passed:
        world.act()
    failed = world.state.answers["stores"].at
    while world.state.answers["stores"].at == failed:
        world.act()
    assert world.state.answers["stores"].at - failed < timedelta(minutes=3)


def test_attest_is_for_what_people_know_and_may_come_early() -> None:
    """An item of a later step may be attested at once; a machine's, an unknown one, twice: refused."""
    world = World()
    assert "is checked by the machine (stores)" in world.say(Verb.ATTEST, by("ann", item="stores"))
    assert "people attest trained" in world.say(Verb.ATTEST, by("ann", item="taught"))
    assert world.say(Verb.ATTEST, by("ann", item="trained")) == ""
    assert "attested by ann already" in world.say(Verb.ATTEST, by("bob", item="trained"))
    assert world.state.timeline[-1].text == "trained: test"


def test_nothing_is_raised_in_a_freeze_and_rollbacks_are() -> None:
    """Friday's approval starts the step on Monday; promote says until when; going down stays free."""
    world = World()
    world.state.started_at = world.now = datetime(2026, 11, 27, 18, tzinfo=UTC)
    world.until_waiting()
    world.complete()
    for actor in ("ann", "bob"):
        world.say(Verb.APPROVE, by(actor, world.newest()))
    while not world.state.step_started_at:
        frozen_now = world.now >= datetime(2026, 11, 28, tzinfo=UTC)
        if frozen_now and world.now < datetime(2026, 11, 30, tzinfo=UTC):
            (held,) = hindrances(world.state, world.step(), world.now)
            assert "freeze weekend (rest) until Mon 2026-11-30 00:00 UTC" in held.because
            assert "nothing is raised now" in world.say(Verb.PROMOTE, by("ann"))
            assert refusal(world.state, Verb.ABORT, by("ann"), world.now) == ""
        world.act()
    assert world.entered[-1] == ("ramp", world.now)


def test_a_freeze_with_bad_readings_at_its_end_goes_on_waiting() -> None:
    """What was Successful on Friday must still be so on Monday."""
    world = World(parse_plan("".join(x for x in PLAN.splitlines(True) if "approval:" not in x)))
    world.state.started_at = world.now = datetime(2026, 11, 27, 20, tzinfo=UTC)
    world.until_waiting()
    world.say(Verb.ATTEST, by("ann", item="trained"))
    world.now = datetime(2026, 11, 29, 23, 50, tzinfo=UTC)
    world.outcome = Outcome.FAILED
    while world.now < datetime(2026, 11, 30, 3, tzinfo=UTC):
        world.act()
    assert world.state.step_started_at is None
    assert "dark is Failed meanwhile" in still_waiting(world.state, world.now)
    world.outcome = Outcome.SUCCESSFUL
    while not world.state.step_started_at:
        world.act()


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
    world = World()
    world.state.started_at = world.now = START + timedelta(hours=hours)
    for kind, what, good in events:
        state = world.state
        if kind == "act":
            world.outcome, world.stores_well = Outcome(str(what)), good
            approved = set(state.approved_by)
            lines = checklist(state, state.step, world.now) if state.step else []
            overruled, evidence, now = state.passed_by, state.evidence, world.now
            if isinstance(world.act(), Enter) and state.percentage == 50:
                assert all(line.done for line in lines)
                assert len(approved & {"ann", "bob", "cyd"}) >= 2
                assert now.weekday() < 5
                assert evidence is not None
                assert overruled or evidence.outcome is Outcome.SUCCESSFUL
        else:
            shown = state.evidence.id if state.evidence and good else ""
            world.say(Verb(kind), by(str(what), shown, "trained" if kind == "attest" else ""))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("of: [ann, bob, cyd]", "of: [ann]", "name more"),
        ("of: [ann, bob, cyd]", "of: [ann, ann, bob]", "somebody twice"),
        ("evidence_max_age: 30m", "evidence_max_age: 1s", "at least 10s"),
        ("expires_after: 1d", "expires_after: 0s", "longer than zero"),
        ("retry_every: 1m", "retry_every: 2h", "not longer than valid_for"),
        ("name: trained", "name: stores", "'stores' is used twice; attest names one item"),
        ("check: stores", "check: dashboards", "dashboards and alerts need names"),
        ("check: stores", "check: gate", "check: gate needs a gate"),
        ("check: stores", "check: baseline", "the plan has no baselines"),
        ("at_least: 90m", "names: [x]", "need names, and no other"),
        (", at_least: 90m", "", "check: held needs at_least"),
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
        plan(old, new)
