"""Evidence of statistical gates goes from stage to stage, and rolls back what it shows to be harm."""

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from sluice.rollout.engine.state import RollbackKind, State, Status
from sluice.rollout.plan.alpha_budget import allocate_alpha
from tests.workflows.harness import PLAN, RunningRollout, running_rollout, short_plan

GATE = "      - {name: evidence, metric: counted, kind: statistical, window: 10m}\n"
METRIC = """
  counted:
    query: 'errors{cohort=~"$cohort"}'
    unit: ratio
    statistic: {test: rate, events: 'e{c=~"$cohort"}', units: 'u{c=~"$cohort"}'}
"""
STATISTICAL = (
    PLAN.replace("\nbaselines:", f"{METRIC}baselines:", 1)
    .replace("    gates: &gates\n", f"    gates: &gates\n{GATE}", 1)
    .replace("percentage: 100\n", "percentage: 50\n")
    .replace("deadline: 3h\n", "deadline: 80m\n")
    .replace("    gates: [{metric: errors, threshold: 1%, window: 5m}]\n", "    gates: &last\n")
)
STATISTICAL += "      - {metric: errors, threshold: 1%, window: 5m}\n"
COVERAGE = 'count_over_time((count(present_over_time(u{c=~".+"}[2m])))[10m:2m])'
BLOCK_COUNTS = {
    'sum((e{c=~"treatment"}': 1.0,
    'sum((u{c=~"treatment"}': 200.0,
    'sum((e{c=~"control"}': 8.0,
    'sum((u{c=~"control"}': 1600.0,
    COVERAGE: 6.0,
}


def block_count(state: State) -> int:
    track = state.sequential_states.get("gates/evidence")
    return track.blocks if track else 0


async def ramp_to_fifty(rollout: RunningRollout) -> State:
    rollout.metrics.values.update(BLOCK_COUNTS)
    await rollout.wait_until(lambda s: s.step is not None and s.step.name == "ramp-100")
    await rollout.approve()
    return await rollout.wait_until(lambda s: s.percentage == 50)


async def test_evidence_goes_on_in_the_next_stage(env: WorkflowEnvironment) -> None:
    async with running_rollout(env, short_plan(STATISTICAL)) as rollout:
        before = block_count(await ramp_to_fifty(rollout))
        assert before >= 4
        state = await rollout.wait_until(lambda s: block_count(s) > before)
        split = allocate_alpha(state.plan, state.sequential_states)
        assert split is not None
        assert (split.spent, split.total) == (0.05, 0.05)


async def test_shown_harm_steps_back_and_restarts_the_evidence(env: WorkflowEnvironment) -> None:
    async with running_rollout(env, short_plan(STATISTICAL)) as rollout:
        await ramp_to_fifty(rollout)
        rollout.metrics.values['sum((e{c=~"treatment"}'] = 20.0
        state = await rollout.wait_until(lambda s: s.status is Status.DEGRADED)
        assert state.rollback is not None
        assert state.rollback.kind is RollbackKind.STEP_BACK
        assert "e-value" in state.rollback.reason
        assert "worse at α = 0.045" in state.rollback.reason
        track = state.sequential_states["gates/evidence"]
        assert (track.blocks, track.test_state, track.attempt) == (0, {}, 1)


async def test_a_gap_shows_nothing(env: WorkflowEnvironment) -> None:
    async with running_rollout(env, short_plan(STATISTICAL)) as rollout:
        state = await ramp_to_fifty(rollout)
        rollout.metrics.values['sum((e{c=~"treatment"}'] = 20.0
        rollout.metrics.values[COVERAGE] = 0.0
        since = state.sequential_states["gates/evidence"].until
        assert since is not None
        later = await rollout.wait_until(
            lambda s: (
                (s.sequential_states["gates/evidence"].until or since) > since + timedelta(hours=1)
            )
        )
        assert later.status is Status.PROGRESSING
        assert later.clock.check is not None
        assert "no data: nothing was scraped" in later.clock.check.reason
