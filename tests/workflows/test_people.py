"""Checklists, bound approvals and freezes in the running workflow, as updates and as signals."""

from datetime import datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from activities.contract.errors import FlagsUnreachableError
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State, Status
from tests.workflows.harness import PLAN, RunningRollout, running_rollout, short_plan

CHECKLIST_PLAN = PLAN.replace(
    "    whitelist: [user_alice]\n",
    """    whitelist: [user_alice]
    checklist:
      - {name: drill, title: Rollback drilled, check: drill}
      - {name: trained, title: Team trained}
      - {name: reward-known, title: Reward known, check: gate, gate: {metric: reward, cohort: control, threshold: 0.1, direction: above, window: 5m}}
""",
).replace(
    "approval: {required_approvals: 1}",
    "approval: {required_approvals: 2, eligible_approvers: [alice, bob], evidence_max_age: 20m, expires_after: 2h, on_expiry: abort}",
)


def evidence_time(state: State) -> datetime:
    return state.checks.latest.at if state.checks.latest else state.started_at


async def rejection(rollout: RunningRollout, verb: Verb, command: Command) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await rollout.command(verb, command)
    return str(caught.value.cause)


async def test_a_step_does_not_start_before_its_checklist(env: WorkflowEnvironment) -> None:
    """A failed item is checked again until it passes; a person's item comes by update or signal."""
    async with running_rollout(env, short_plan(CHECKLIST_PLAN)) as rollout:
        rollout.site.problems["drill"] = FlagsUnreachableError("Redis is away")
        first = (await rollout.wait_until(lambda s: "drill" in s.item_results)).item_results[
            "drill"
        ]
        state = await rollout.wait_until(lambda s: s.item_results["drill"].at > first.at, hours=1)
        assert state.percentage == 0
        assert "Redis is away" in state.item_results["drill"].reason
        assert state.item_results["reward-known"].passed
        item = Command(actor="cyd", reason="had the course", item="drill")
        assert "checked automatically" in await rejection(rollout, Verb.ATTEST, item)
        rollout.site.problems.clear()
        await rollout.handle.signal("attest", item.model_copy(update={"item": "trained"}))
        state = await rollout.wait_until(lambda s: s.percentage == 5, hours=1)
        assert state.attestations["trained"].actor == "cyd"


async def test_two_people_approve_what_they_saw(env: WorkflowEnvironment) -> None:
    """Old evidence is refused, fresh evidence is made meanwhile, by signal or update alike."""
    async with running_rollout(env, short_plan(CHECKLIST_PLAN)) as rollout:
        await rollout.command(Verb.ATTEST, Command(actor="cyd", item="trained"))
        state = await rollout.wait_until(
            lambda s: s.step_index == 3 and s.checks.latest is not None
        )
        assert state.checks.latest is not None
        old, seen_at = state.checks.latest.id, state.checks.latest.at
        await rollout.wait_until(
            lambda s: evidence_time(s) - seen_at > timedelta(minutes=25), hours=2
        )
        stale = Command(actor="alice", evidence=old)
        assert "the plan allows 20m" in await rejection(rollout, Verb.APPROVE, stale)
        assert "may not approve" in await rejection(rollout, Verb.APPROVE, Command(actor="eve"))
        answer = await rollout.approve("alice")
        assert "1 more" in answer.message
        fresh = (await rollout.state()).checks.latest
        assert fresh is not None
        assert fresh.id != old
        await rollout.handle.signal("approve", Command(actor="bob", evidence=fresh.id))
        state = await rollout.wait_until(lambda s: s.percentage == 100, hours=1)
        approvals = [event for event in state.timeline if event.kind == "approve"]
        assert [event.actor for event in approvals] == ["alice", "bob"]
        assert fresh.id in approvals[-1].text


async def test_an_approval_that_never_comes_ends_the_rollout(env: WorkflowEnvironment) -> None:
    """With on_expiry abort: after the plan's time, at 0 %."""
    async with running_rollout(env, short_plan(CHECKLIST_PLAN)) as rollout:
        await rollout.command(Verb.ATTEST, Command(actor="cyd", item="trained"))
        await rollout.wait_until(lambda s: s.has_ended)
        result = await rollout.handle.result()
        assert (result.status, result.percentage) == (Status.ABORTED, 0)
        assert rollout.flags.percentages[-1] == 0
