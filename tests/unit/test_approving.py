"""Approvals: bound to readings that are fresh, true, and seen by the right people."""

from datetime import timedelta

import pytest

from rollout import moves
from rollout.commands import Verb
from rollout.gate import Severity
from rollout.state import Finding, Status
from rollout.verdict import Outcome, Verdict
from tests.unit.waiting_world import MINUTE, World, by, plan


@pytest.fixture
def world() -> World:
    it = World()
    it.until_waiting()
    return it


@pytest.mark.parametrize(
    ("actor", "what"),
    [("eve", "eve may not approve ramp; ask ann, bob, cyd"), ("ann", "somebody else must")],
)
def test_who_may_approve(world: World, actor: str, what: str) -> None:
    """The plan's people only, each once."""
    assert world.say(Verb.APPROVE, by("ann", world.newest())) == ""
    assert what in world.say(Verb.APPROVE, by(actor, world.newest()))


def test_an_approval_names_readings_that_exist(world: World) -> None:
    """Without them, or with made-up ones, it says which to look at."""
    assert f"--evidence {world.newest()}" in world.say(Verb.APPROVE, by("ann"))
    assert "no check dark/99" in world.say(Verb.APPROVE, by("ann", "dark/99"))


def test_old_readings_are_refused_and_new_ones_are_made(world: World) -> None:
    """While the step waits, the live step is checked at least twice within the age allowed."""
    old = world.newest()
    began, ages = world.now, []
    while world.now - began < timedelta(hours=3):
        world.act()
        assert world.state.evidence is not None
        ages.append(world.now - world.state.evidence.at)
    assert max(ages) <= timedelta(minutes=25)
    assert "old, the plan allows 30m" in world.say(Verb.APPROVE, by("ann", old))
    assert world.say(Verb.APPROVE, by("ann", world.newest())) == ""


def test_a_red_flag_voids_what_was_seen_and_approved_before(world: World) -> None:
    """Even one that only notes: the approver must look at readings made after it."""
    seen = world.newest()
    assert world.say(Verb.APPROVE, by("ann", seen)) == ""
    world.now += MINUTE
    broken = Verdict(gate="g", outcome=Outcome.FAILED, because="g broke", severity=Severity.P2)
    moves.found(
        world.state,
        world.now,
        Finding(name="g", kind="red_flag", verdict=broken, seen_at=world.now),
    )
    moves.noted(world.state, world.now)
    assert world.state.approvals == ()
    assert "a red flag has fired since" in world.say(Verb.APPROVE, by("ann", seen))
    world.now += MINUTE
    world.check()
    assert world.say(Verb.APPROVE, by("ann", world.newest())) == ""


def test_readings_that_got_worse_are_not_approved(world: World) -> None:
    """Not by an older, better check either; a person may overrule them with promote, and says so."""
    good = world.newest()
    world.outcome = Outcome.INCONCLUSIVE
    world.check()
    assert "it got worse" in world.say(Verb.APPROVE, by("ann", good))
    assert "is Inconclusive" in world.say(Verb.APPROVE, by("ann", world.newest()))
    assert world.say(Verb.PROMOTE, by("cyd")) == ""
    assert world.say(Verb.APPROVE, by("ann", world.newest())) == ""


def test_promote_overrules_readings_and_nothing_else(world: World) -> None:
    """While the step waits there is no wait to skip: not the checklist, not the approvals."""
    reason = world.say(Verb.PROMOTE, by("ann"))
    assert "no wait to skip" in reason
    assert "trained" in reason


def test_an_approval_that_nobody_gives_expires() -> None:
    """Hold pauses and asks anew after resume; abort ends the rollout."""
    for policy, status in (("hold", Status.PAUSED), ("abort", Status.ABORTED)):
        world = World(plan("expires_after: 1d", f"expires_after: 1d, on_expiry: {policy}"))
        world.until_waiting()
        world.say(Verb.APPROVE, by("ann", world.newest()))
        while world.state.status is Status.PROGRESSING and not world.state.aborted_by:
            world.act()
        assert world.state.approvals == ()
        if policy == "abort":
            assert world.state.aborted_by == "sluice"
        else:
            assert world.state.status is status
            assert "nobody approved Ramp in time" in world.state.paused_because
            assert world.say(Verb.RESUME, by("ann")) == ""
            world.act()
            assert world.state.status is Status.PROGRESSING
