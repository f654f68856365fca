"""An activity that fails, ends late or is dropped ends nothing: it begins again, or its reason returns."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.contract.models import ProbeResult, VerificationRequest, VerificationResult
from activities.identity import IdentityActivities
from activities.notify import NoticeActivities
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import Status
from tests.workflows.doubles import RecordingNotices
from tests.workflows.harness import PLAN, running_rollout, short_plan
from tests.workflows.test_red_flags import is_exposed
from workflows import activity_options
from workflows.context import abandon
from workflows.worker_channels_workflow import WorkerChannelsWorkflow

QUEUE = "dropped"
OPTIONS = {
    name: value
    for name, value in vars(activity_options).items()
    if isinstance(value, dict) and "start_to_close_timeout" in value and name != "APPLY_AT_ONCE"
} | {"watch": activity_options.watch_options(timedelta(seconds=1))}
ENDS = ("fails", "times out", "completes late")


@activity.defn
async def ends(how: str) -> str:
    # The cancellation of an activity that heartbeats is ignored here: it must not matter either.
    for _ in range(4):
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            continue
    if how == "times out":
        await asyncio.Event().wait()
    if how == "fails":
        raise ApplicationError("too late")
    return how


@workflow.defn
class DropsAnActivity:
    @workflow.run
    async def run(self, name: str, how: str) -> str:
        options: dict[str, Any] = dict(OPTIONS[name])
        options["start_to_close_timeout"] = timedelta(seconds=1)
        options["retry_policy"] = RetryPolicy(maximum_attempts=1)
        task = workflow.start_activity(ends, how, **options)
        await workflow.sleep(0.2)
        abandon(task)
        for _ in range(12):
            await workflow.sleep(0.15)
        return "went on"


@pytest.mark.parametrize("how", ENDS)
async def test_a_workflow_goes_on_after_a_dropped_activity_ends(
    env: WorkflowEnvironment, how: str
) -> None:
    async with Worker(
        env.client,
        task_queue=QUEUE,
        workflows=[DropsAnActivity],
        activities=[ends],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        runs = [
            await env.client.start_workflow(
                DropsAnActivity.run,
                args=[name, how],
                id=f"{name} {how}",
                task_queue=QUEUE,
            )
            for name in OPTIONS
        ]
        with env.auto_time_skipping_disabled():
            async with asyncio.timeout(60):
                results = await asyncio.gather(*(run.result() for run in runs))
    assert results == ["went on"] * len(OPTIONS)


async def test_a_watch_that_fails_is_replaced(env: WorkflowEnvironment) -> None:
    """Nobody guards the traffic without it; the next one finds what the first would have."""
    async with running_rollout(env) as rollout:
        rollout.watch.failures.extend(["out of memory", "out of memory"])
        await rollout.wait_until(is_exposed)
        assert rollout.watch.failures == []
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(lambda s: s.status is Status.DEGRADED, hours=1)
        assert (state.percentage, rollout.flags.percentages[-1]) == (0, 0)


async def test_a_checklist_that_fails_is_not_done_and_says_why(env: WorkflowEnvironment) -> None:
    """A probe of a kind that nobody expected to fail fails its items, and they are tried again."""
    plan = short_plan(
        PLAN.replace(
            "    stage: 1\n",
            "    stage: 1\n    checklist: [{name: stores, title: Stores, check: stores}]\n",
        )
    )
    async with running_rollout(env, plan) as rollout:
        rollout.site.check_stores = crash  # type: ignore[method-assign]  # until it is deleted
        state = await rollout.wait_until(lambda s: "stores" in s.item_results, hours=2)
        assert not state.item_results["stores"].passed
        assert "could not be checked" in state.item_results["stores"].reason
        del rollout.site.check_stores
        state = await rollout.wait_until(lambda s: s.is_live, hours=2)
        assert state.item_results["stores"].passed


async def crash(environment: str) -> ProbeResult:
    raise ApplicationError(f"the probe of {environment} crashed", non_retryable=True)


async def test_a_start_at_an_unknown_step_is_refused(env: WorkflowEnvironment) -> None:
    async def start(ident: str) -> Command:
        return Command(actor="alice", reason=ident, to="ramp-6")

    async with running_rollout(env, sign_start=start) as rollout:
        with pytest.raises(WorkflowFailureError) as refused:
            await rollout.handle.result()
    assert "ramp-6" in str(refused.value.cause)


@dataclass(frozen=True)
class ScriptedIdentity(IdentityActivities):
    """Fails as often as ``failures`` says, and returns one nonce for every decision."""

    failures: list[str] = field(default_factory=list)

    @activity.defn(name="verify_decision")
    async def verify(self, request: VerificationRequest) -> VerificationResult:
        if self.failures:
            raise ApplicationError(self.failures.pop(), non_retryable=True)
        return VerificationResult(has_keyring=False, nonce="one")


async def test_a_decision_that_cannot_be_verified_is_refused(env: WorkflowEnvironment) -> None:
    """Neither a failed verification nor a statement that was used before counts."""
    identity = ScriptedIdentity()
    async with running_rollout(env, identity=identity) as rollout:
        await rollout.wait_until(lambda s: s.clock.started_at is not None)
        await rollout.command(Verb.PAUSE)
        identity.failures.append("no ssh-keygen")
        for reason in (
            "who decided could not be verified; try again",
            "the statement was used before; sign a new one",
        ):
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await rollout.command(Verb.RESUME)
            assert reason in str(refused.value.cause)
        assert (await rollout.state()).status is Status.PAUSED


async def test_a_workers_channels_are_read_through_temporal(env: WorkflowEnvironment) -> None:
    notices = NoticeActivities({"log": RecordingNotices(), "webhook": RecordingNotices()})
    async with Worker(
        env.client,
        task_queue="channels",
        workflows=[WorkerChannelsWorkflow],
        activities=[notices.list_channels],
        build_id="test",
    ):
        channels = await env.client.execute_workflow(
            WorkerChannelsWorkflow.run, id="channels", task_queue="channels"
        )
    assert channels == ["log", "webhook"]
