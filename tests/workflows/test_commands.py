"""People's commands: taken when they fit, refused with the reason when they don't."""

import asyncio

import pytest
from temporalio import workflow
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.testing import WorkflowEnvironment

from activities.contract.errors import FlagsUnreachableError
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State, Status
from tests.workflows.harness import ALICE, RunningRollout, running_rollout, short_plan
from workflows import activity_options
from workflows.models import RolloutInput
from workflows.notice_dispatch import NoticeDispatcher
from workflows.rollout_workflow import RolloutWorkflow


def is_exposed(state: State) -> bool:
    return state.percentage > 0


async def rejection(rollout: RunningRollout, verb: Verb, command: Command = ALICE) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await rollout.command(verb, command)
    return str(caught.value.cause)


async def test_abort_answers_when_the_store_has_zero(env: WorkflowEnvironment) -> None:
    """The answer to abort carries the percentage that was read back; the report is written."""
    async with running_rollout(env) as rollout:
        rows = (await rollout.wait_until(is_exposed)).evidence.count
        rollout.reports.digest = "of the report's two rows"
        answer = await rollout.command(Verb.ABORT)
        assert answer.percentage == 0
        assert rollout.flags.percentages[-1] == 0
        result = await rollout.handle.result()
        assert (result.status, result.percentage) == (Status.ABORTED, 0)
        assert rollout.reports.requests[0].ending == "Aborted"
        evidence = (await rollout.state()).evidence
        assert (evidence.count, evidence.digest) == (rows + 2, rollout.reports.digest)


async def test_an_abort_does_not_wait_for_a_new_run_of_the_workflow(
    env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history is too long and a notice starts late: the abort is decided before the old plan."""
    drain = NoticeDispatcher.drain

    async def drain_late(notices: NoticeDispatcher, state: State) -> None:
        await workflow.wait_condition(lambda: state.abort is not None)
        await drain(notices, state)

    monkeypatch.setattr(activity_options, "HISTORY_EVENTS_MAX", 0)
    monkeypatch.setattr(NoticeDispatcher, "drain", drain_late)
    async with running_rollout(env) as rollout:
        await rollout.wait_until(lambda s: s.is_live)
        async with asyncio.timeout(10):
            answer = await rollout.command(Verb.ABORT)
        assert answer.percentage == 0
        assert (await rollout.handle.result()).status is Status.ABORTED


async def test_two_aborts_and_the_end_share_one_write(env: WorkflowEnvironment) -> None:
    """Of several writes at once all but the newest are refused, and an abort would never answer."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.flags.slow_seconds = 0.3
        bob = Command(actor="bob", reason="me too")
        answers = await asyncio.gather(
            rollout.command(Verb.ABORT), rollout.command(Verb.ABORT, bob)
        )
        assert [answer.percentage for answer in answers] == [0, 0]
        assert (await rollout.handle.result()).status is Status.ABORTED
        assert rollout.flags.percentages == [0, 0, 5, 0]


async def test_cancelling_the_workflow_means_abort(env: WorkflowEnvironment) -> None:
    """A cancelled rollout still goes to 0 % and writes its report before it ends."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        await rollout.handle.cancel()
        result = await rollout.handle.result()
        assert (result.status, result.percentage) == (Status.ABORTED, 0)
        assert rollout.flags.percentages[-1] == 0


async def test_cancelling_during_a_rollback_does_not_stop_it(env: WorkflowEnvironment) -> None:
    """A rollback is shielded from cancellation and tried until it is done."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.flags.broken = FlagsUnreachableError("Redis does not answer")
        rollout.metrics.values["errors"] = 0.2
        await rollout.wait_until(lambda s: s.rollback is not None, hours=1)
        await rollout.handle.cancel()
        rollout.flags.broken = None
        result = await rollout.handle.result()
        assert (result.status, rollout.flags.percentages[-1]) == (Status.ABORTED, 0)


async def test_pause_stops_the_clock_and_resume_goes_on(env: WorkflowEnvironment) -> None:
    """Paused time doesn't count as watched time; the percentage stays."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        await rollout.command(Verb.PAUSE)
        await rollout.pass_time(6 * 60)
        state = await rollout.state()
        assert (state.status, state.percentage) == (Status.PAUSED, 5)
        await rollout.command(Verb.RESUME)
        await rollout.pass_time(30)
        state = await rollout.state()
        assert state.step is not None
        assert state.step.name == "ramp-5"


async def test_promote_skips_the_wait(env: WorkflowEnvironment) -> None:
    """Promote ends the step's wait now, on a person's word, and says who it was."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        await rollout.command(Verb.PROMOTE)
        state = await rollout.wait_until(lambda s: s.step_index == 3, hours=1)
        assert any("promoted by alice" in event.text for event in state.timeline)


async def test_commands_that_do_not_fit_are_refused_with_the_reason(
    env: WorkflowEnvironment,
) -> None:
    """Nothing is changed by a refused command."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        assert "only a Paused one" in await rejection(rollout, Verb.RESUME)
        assert "only a Degraded one" in await rejection(rollout, Verb.RETRY)
        assert "nothing waits for approval" in await rejection(rollout, Verb.APPROVE)
        assert (await rollout.state()).status is Status.PROGRESSING


async def test_the_baseline_cannot_be_skipped(env: WorkflowEnvironment) -> None:
    """Promote before the baseline is recorded is refused: later gates compare with it."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(lambda s: s.clock.started_at is not None, hours=1)
        assert "baseline is not complete" in await rejection(rollout, Verb.PROMOTE)


async def test_signals_do_what_updates_do(env: WorkflowEnvironment) -> None:
    """The Temporal UI and other SDKs can signal; a signal that does not fit is noted, not fatal."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        await rollout.handle.signal("resume", ALICE)
        state = await rollout.wait_until(lambda s: s.timeline[-1].kind == "refused", hours=1)
        assert "only a Paused one" in state.timeline[-1].text
        await rollout.handle.signal("rollback", Command(actor="ui", emergency=True))
        state = await rollout.wait_until(lambda s: s.status is Status.DEGRADED, hours=1)
        assert state.percentage == 0
        await rollout.handle.signal("abort", ALICE)
        assert (await rollout.handle.result()).status is Status.ABORTED


async def test_signal_without_a_command_never_stops_the_rollout(env: WorkflowEnvironment) -> None:
    """A click in the Temporal UI may send no input, ``null`` or two: abort still aborts."""
    async with running_rollout(env) as rollout:
        before = await rollout.wait_until(is_exposed)
        for arguments in ([], [None], [ALICE, ALICE]):
            await rollout.handle.signal("promote", args=arguments)
        assert (await rollout.state()).step_index == before.step_index
        await rollout.handle.signal("abort", args=[])
        result = await rollout.handle.result()
    assert result.status is Status.ABORTED


async def test_signals_twice_and_out_of_order_change_nothing_more(env: WorkflowEnvironment) -> None:
    """Two pauses are one, two rollbacks too, and a resume that comes too late raises nothing."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        await rollout.handle.signal("pause", ALICE)
        await rollout.handle.signal("pause", ALICE)
        state = await rollout.wait_until(lambda s: s.status is Status.PAUSED, hours=1)
        emergency = Command(actor="ui", emergency=True)
        await rollout.handle.signal("rollback", emergency)
        await rollout.wait_until(lambda s: s.status is Status.DEGRADED, hours=1)
        await rollout.handle.signal("rollback", emergency)
        await rollout.handle.signal("resume", ALICE)
        state = await rollout.wait_until(
            lambda s: any(e.kind == "refused" for e in s.timeline), hours=1
        )
        assert (state.status, state.percentage) == (Status.DEGRADED, 0)
        assert rollout.flags.percentages[-1] == 0


async def test_each_signal_is_judged_by_its_own_rule(env: WorkflowEnvironment) -> None:
    """A promotion fits a live step; the other signals are noted with the reason of their refusal."""
    async with running_rollout(env) as rollout:
        before = await rollout.wait_until(is_exposed)
        for verb in ("retry", "acknowledge", "attest", "approve", "promote"):
            await rollout.handle.signal(verb, ALICE)
        state = await rollout.wait_until(lambda s: s.step_index > before.step_index, hours=1)
        refused = [
            event.text.partition(":")[0] for event in state.timeline if event.kind == "refused"
        ]
        assert sorted(refused) == ["acknowledge", "approve", "attest", "retry"]


async def test_a_second_start_for_the_same_flag_is_refused(env: WorkflowEnvironment) -> None:
    """The first rollout goes on untouched; the refusal says how to see and to end it."""
    async with running_rollout(env) as rollout:
        before = await rollout.wait_until(is_exposed)
        with pytest.raises(WorkflowAlreadyStartedError):
            await env.client.start_workflow(
                RolloutWorkflow.run,
                RolloutInput(plan=short_plan()),
                id=rollout.handle.id,
                task_queue="another",
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
        after = await rollout.state()
        assert (after.rollout_id, after.percentage) == (before.rollout_id, before.percentage)
