"""A running plan changes by a person's amendment; a lost rollout begins at the step it had reached."""

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.overrides import Override, override_plan
from sluice.rollout.plan.schema import RolloutPlan
from tests.workflows.harness import ALICE, running_rollout, short_plan


def is_exposed(state: State) -> bool:
    return state.percentage > 0


def amendment(plan: RolloutPlan) -> Command:
    return ALICE.model_copy(update={"plan": plan})


def with_live_percentage(plan: RolloutPlan, percentage: float) -> RolloutPlan:
    steps = tuple(
        step.model_copy(update={"percentage": percentage}) if step.name == "ramp-5" else step
        for step in plan.steps
    )
    return plan.model_copy(update={"steps": steps})


async def test_an_amended_red_flag_guards_at_once(env: WorkflowEnvironment) -> None:
    """The running watch takes the new threshold, and the timeline names who changed what."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        stricter = [Override("ramp-5", "error_spike", "threshold", "0.2%")]
        plan = override_plan(short_plan(), stricter)
        await rollout.command(Verb.AMEND, amendment(plan))
        state = await rollout.state()
        assert state.plan.step("ramp-5").red_flags[0].threshold == 0.002
        texts = {event.kind: (event.actor, event.text) for event in state.timeline}
        assert texts["amend"][0] == "alice"
        assert "steps.ramp-5.red_flags.error_spike.threshold: 0.05 → 0.002" in texts["plan"][1]
        rollout.metrics.values["errors"] = 0.004
        state = await rollout.wait_until(lambda s: s.status is Status.DEGRADED, hours=1)
        assert state.rollback is not None
        assert state.rollback.finding is not None
        assert state.rollback.finding.name == "error_spike"


async def test_the_live_percentage_is_not_amended(env: WorkflowEnvironment) -> None:
    async with running_rollout(env) as rollout:
        await rollout.wait_until(is_exposed)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await rollout.command(Verb.AMEND, amendment(with_live_percentage(short_plan(), 90)))
        assert isinstance(refused.value.cause, ApplicationError)
        assert "sluice rollback --to" in refused.value.cause.message
        assert (await rollout.state()).percentage == 5
        with pytest.raises(WorkflowUpdateFailedError):
            await rollout.command(Verb.AMEND, amendment(short_plan()))


async def test_a_lost_rollout_begins_at_the_step_it_had_reached(env: WorkflowEnvironment) -> None:
    """Its steps before count as passed, by the word of who starts it; the next one goes on as ever."""

    async def at_ramp_5(_: str) -> Command:
        return ALICE.model_copy(update={"to": "ramp-5"})

    async with running_rollout(env, sign_start=at_ramp_5) as rollout:
        state = await rollout.wait_until(is_exposed, hours=1)
        assert state.step is not None
        assert state.step.name == "ramp-5"
        assert set(state.completed_steps) == {"baseline", "dark"}
        assert "says alice" in state.completed_steps["dark"]
        assert rollout.flags.percentages == [5]
