"""Approvals: bound to readings that are fresh, true, and seen by the right people."""

from datetime import timedelta

import pytest

from sluice.rollout.analysis.gate import Severity
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.engine import transitions
from sluice.rollout.engine.approvals import rejections, signer_rejection
from sluice.rollout.engine.commands import DecisionMemory, Signer, Verb
from sluice.rollout.engine.state import Finding, Status
from sluice.rollout.plan.approval_policy import ApprovalRecord
from tests.unit.rollout.engine.precondition_world import (
    MINUTE,
    PreconditionWorld,
    command_by,
    plan_with,
)


@pytest.fixture
def world() -> PreconditionWorld:
    it = PreconditionWorld()
    it.run_until_waiting()
    return it


@pytest.mark.parametrize(
    ("actor", "what"),
    [("eve", "eve may not approve ramp; ask ann, bob, cyd"), ("ann", "somebody else must")],
)
def test_only_listed_approvers_may_approve_once_each(
    world: PreconditionWorld, actor: str, what: str
) -> None:
    """The plan's people only, each once."""
    assert world.submit(Verb.APPROVE, command_by("ann", world.newest_evidence_id())) == ""
    assert what in world.submit(Verb.APPROVE, command_by(actor, world.newest_evidence_id()))


def test_without_a_waiting_step_nothing_is_approved(world: PreconditionWorld) -> None:
    state = world.state.model_copy(update={"step_index": len(world.state.plan.steps)})
    assert list(rejections(state, "alice", "", world.now)) == ["nothing waits for approval"]


def test_an_approval_names_readings_that_exist(world: PreconditionWorld) -> None:
    """Without them, or with made-up ones, it says which to look at."""
    assert f"--evidence {world.newest_evidence_id()}" in world.submit(
        Verb.APPROVE, command_by("ann")
    )
    assert "check dark/99 does not exist" in world.submit(
        Verb.APPROVE, command_by("ann", "dark/99")
    )


def test_old_readings_are_refused_and_new_ones_are_made(world: PreconditionWorld) -> None:
    """While the step waits, the live step is checked at least twice within the age allowed."""
    old = world.newest_evidence_id()
    began, ages = world.now, []
    while world.now - began < timedelta(hours=3):
        world.execute_next()
        assert world.state.checks.latest is not None
        ages.append(world.now - world.state.checks.latest.at)
    assert max(ages) <= timedelta(minutes=25)
    assert "old, the plan allows 30m" in world.submit(Verb.APPROVE, command_by("ann", old))
    assert world.submit(Verb.APPROVE, command_by("ann", world.newest_evidence_id())) == ""


def test_a_red_flag_voids_what_was_seen_and_approved_before(world: PreconditionWorld) -> None:
    """Even one that only notes: the approver must look at readings made after it."""
    seen = world.newest_evidence_id()
    assert world.submit(Verb.APPROVE, command_by("ann", seen)) == ""
    world.now += MINUTE
    broken = Verdict(gate="g", outcome=Outcome.FAILED, reason="g broke", severity=Severity.P2)
    finding = Finding(name="g", kind="red_flag", verdict=broken, seen_at=world.now)
    transitions.raise_finding(world.state, world.now, finding)
    transitions.record_finding(world.state, world.now, finding)
    assert world.state.entry.approvals == ()
    assert "a red flag has fired since" in world.submit(Verb.APPROVE, command_by("ann", seen))
    world.now += MINUTE
    world.check_now()
    assert world.submit(Verb.APPROVE, command_by("ann", world.newest_evidence_id())) == ""


def test_readings_that_got_worse_are_not_approved(world: PreconditionWorld) -> None:
    """Not by an older, better check either; a person may overrule them with promote, and says so."""
    good = world.newest_evidence_id()
    world.outcome = Outcome.INCONCLUSIVE
    world.check_now()
    assert "it got worse" in world.submit(Verb.APPROVE, command_by("ann", good))
    assert "is Inconclusive" in world.submit(
        Verb.APPROVE, command_by("ann", world.newest_evidence_id())
    )
    assert world.submit(Verb.PROMOTE, command_by("cyd")) == ""
    assert world.submit(Verb.APPROVE, command_by("ann", world.newest_evidence_id())) == ""


def test_promote_overrules_readings_and_nothing_else(world: PreconditionWorld) -> None:
    """A promotion cannot skip the preconditions of a waiting step: checklist or approvals."""
    reason = world.submit(Verb.PROMOTE, command_by("ann"))
    assert "no wait to skip" in reason
    assert "trained" in reason


def test_an_approval_that_nobody_gives_expires() -> None:
    """Hold pauses and asks again after resume; abort ends the rollout."""
    for policy, status in (("hold", Status.PAUSED), ("abort", Status.ABORTED)):
        world = PreconditionWorld(
            plan_with("expires_after: 1d", f"expires_after: 1d, on_expiry: {policy}")
        )
        world.run_until_waiting()
        world.submit(Verb.APPROVE, command_by("ann", world.newest_evidence_id()))
        while world.state.status is Status.PROGRESSING and not world.state.abort:
            world.execute_next()
        assert world.state.entry.approvals == ()
        if policy == "abort":
            assert world.state.abort is not None
            assert world.state.abort.actor == "sluice"
        else:
            assert world.state.status is status
            assert "nobody approved Ramp in time" in str(world.state.pause)
            assert world.submit(Verb.RESUME, command_by("ann")) == ""
            world.execute_next()
            assert world.state.status is Status.PROGRESSING


def test_verified_approvals_count_keys_and_not_the_starter(world: PreconditionWorld) -> None:
    """One key with two names, or the person who started, does not satisfy two approvals."""
    state = world.state
    record = ApprovalRecord(actor="ann", at=state.started_at, fingerprint="SHA256:a")
    state.entry = state.entry.model_copy(update={"approvals": (record,)})
    state.decisions = DecisionMemory(started_by="bob")
    assert "approved already" in signer_rejection(state, Signer(name="cyd", fingerprint="SHA256:a"))
    assert "bob started" in signer_rejection(state, Signer(name="bob", fingerprint="SHA256:b"))
    assert "started" in signer_rejection(state, Signer(name="Bob\u200b", fingerprint="SHA256:b"))
    assert signer_rejection(state, Signer(name="cyd", fingerprint="SHA256:c")) == ""
