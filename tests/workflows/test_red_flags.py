"""Red flags take traffic away by themselves, whatever the rollout is doing."""

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from sluice.flags import WriteMetadata
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State, Status
from tests.workflows.harness import ALICE, RunningRollout, running_rollout

BOB = WriteMetadata(actor="bob", reason="it hurts")


def is_exposed(state: State) -> bool:
    return state.percentage > 0


def is_degraded(state: State) -> bool:
    return state.status is Status.DEGRADED


async def is_flag_killed(rollout: RunningRollout) -> bool:
    document = await rollout.flags.environment("default").document()
    return document.flags["learning"].killed


async def test_p0_goes_to_zero_and_stays_there(env: WorkflowEnvironment) -> None:
    """A P0 puts the flag to 0 %, sets the latch, and waits for a person; it never raises again."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(is_degraded, hours=1)
        assert state.percentage == 0
        assert await is_flag_killed(rollout)
        assert state.rollback is not None
        assert state.rollback.finding is not None
        assert state.rollback.finding.name == "error_spike"
        rollout.metrics.values["errors"] = 0.0
        await rollout.pass_time(2 * 60)
        assert rollout.flags.percentages[-1] == 0
        assert (await rollout.state()).status is Status.DEGRADED


async def test_retry_enters_the_failed_step_with_a_fresh_clock(env: WorkflowEnvironment) -> None:
    """Retry is a person's decision: it clears our own latch and restarts the step."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["errors"] = 0.2
        before = await rollout.wait_until(is_degraded, hours=1)
        rollout.metrics.values["errors"] = 0.001
        await rollout.command(Verb.RETRY)
        state = await rollout.wait_until(is_exposed, hours=1)
        assert state.step is not None
        assert state.step.name == "ramp-5"
        assert state.clock.started_at is not None
        assert before.rollback is not None
        assert before.rollback.completed_at is not None
        assert state.clock.started_at > before.rollback.completed_at
        assert not await is_flag_killed(rollout)


async def test_p1_pauses_and_rolls_back_when_nobody_acts(env: WorkflowEnvironment) -> None:
    """P1 (guide): pause, investigate within 4 hours; then traffic goes."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["reward"] = 0.1
        state = await rollout.wait_until(lambda s: s.status is Status.PAUSED, hours=1)
        assert state.percentage == 5
        state = await rollout.wait_until(is_degraded, hours=5)
        assert state.percentage == 0
        assert state.rollback is not None
        assert "nobody acted" in state.rollback.reason


async def test_an_acknowledged_p1_neither_pauses_nor_pages_until_its_time_is_over(
    env: WorkflowEnvironment,
) -> None:
    """Resume works although the readings stay bad. Then the rollout pauses and escalates again."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["reward"] = 0.1
        state = await rollout.wait_until(lambda s: s.status is Status.PAUSED, hours=1)
        (name,) = state.red_flags.raised
        half_an_hour = timedelta(minutes=30)
        known = ALICE.model_copy(update={"item": name, "duration": half_an_hour})
        await rollout.command(Verb.ACKNOWLEDGE, known)
        await rollout.command(Verb.RESUME)
        await rollout.pass_time(20)
        state = await rollout.state()
        assert state.status is Status.PROGRESSING
        assert not state.outbox.open_alerts
        state = await rollout.wait_until(lambda s: s.status is Status.PAUSED, hours=2)
        assert state.pause is not None
        assert state.pause.auto_rollback_at is not None


async def test_a_p0_fires_during_a_pause_too(env: WorkflowEnvironment) -> None:
    """A person's pause doesn't put the guards to sleep."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        await rollout.command(Verb.PAUSE)
        rollout.metrics.values["errors"] = 0.2
        assert (await rollout.wait_until(is_degraded, hours=1)).percentage == 0


async def test_a_p0_fires_while_waiting_for_an_approval(env: WorkflowEnvironment) -> None:
    """Flagger does nothing then; here the last step's red flags stay on guard."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(lambda s: s.step is not None and s.step.name == "ramp-100")
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(is_degraded, hours=1)
        assert state.percentage == 0
        assert rollout.flags.percentages == [0, 0, 5, 0]


async def test_a_kill_by_a_person_is_noticed(env: WorkflowEnvironment) -> None:
    """``sluice kill`` needs no Temporal; the rollout sees the latch and is Degraded.

    A later retry does not clear the latch that a person set.
    """
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        await rollout.flags.environment("default").kill("learning", metadata=BOB)
        state = await rollout.wait_until(is_degraded, hours=1)
        assert state.rollback is not None
        assert state.rollback.finding is not None
        assert state.rollback.finding.kind == "killed"
        await rollout.command(Verb.RETRY)
        state = await rollout.wait_until(lambda s: s.status is Status.PAUSED, hours=1)
        assert state.pause is not None
        assert "kill" in state.pause.reason.lower()
        assert await is_flag_killed(rollout)


async def test_no_data_never_fires_and_never_promotes(env: WorkflowEnvironment) -> None:
    """Nothing measured: no rollback for nothing, and no way forward either; it says why."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values.update(errors=None, reward=None, queries=None)
        await rollout.pass_time(2 * 60)
        state = await rollout.state()
        assert state.percentage == 5
        assert state.clock.check is not None
        assert "no data" in state.clock.check.reason
        assert state.status is Status.PROGRESSING
        await rollout.pass_time(2 * 60)
        assert (await rollout.state()).status is Status.PAUSED


async def test_prometheus_out_of_reach_holds_and_goes_on(env: WorkflowEnvironment) -> None:
    """An Error isn't a Failed: the step waits, says so, and goes on when readings are back."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.reachable = False
        await rollout.pass_time(2 * 60)
        state = await rollout.state()
        assert state.percentage == 5
        assert state.clock.check is not None
        assert "does not answer" in state.clock.check.reason
        rollout.metrics.reachable = True
        await rollout.wait_until(
            lambda s: s.step is not None and s.step.name == "ramp-100", hours=2
        )


async def test_deadline_with_failing_gate_steps_back(env: WorkflowEnvironment) -> None:
    """Success criteria not met in time: back to the step's own target, then a person decides."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        rollout.metrics.values["errors"] = 0.03  # fails the gate, below the red flag
        state = await rollout.wait_until(is_degraded, hours=5)
        assert state.percentage == 0
        assert state.rollback is not None
        assert state.rollback.to_step == "dark"
        assert not await is_flag_killed(rollout)


async def test_still_burning_after_a_step_back_goes_to_zero(env: WorkflowEnvironment) -> None:
    """After a step back the target's red flags stay on guard."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(lambda s: s.step is not None and s.step.name == "ramp-100")
        await rollout.approve()
        await rollout.wait_until(lambda s: s.percentage == 100, hours=1)
        await rollout.command(Verb.ROLLBACK, Command(actor="bob", reason="unsure"))
        assert (await rollout.state()).percentage == 5
        rollout.metrics.values["errors"] = 0.2
        state = await rollout.wait_until(lambda s: s.percentage == 0, hours=1)
        assert state.status is Status.DEGRADED
        assert rollout.flags.percentages == [0, 0, 5, 100, 5, 0]
        await rollout.command(Verb.ABORT, ALICE)
        assert (await rollout.handle.result()).status is Status.ABORTED
