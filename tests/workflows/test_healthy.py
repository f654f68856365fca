"""A rollout whose every reading is good."""

from temporalio.testing import WorkflowEnvironment

from sluice.rollout.engine.state import Status
from tests.workflows.harness import running_rollout


async def test_healthy_readings_lead_through_all_stages(env: WorkflowEnvironment) -> None:
    """Each step in order, nothing skipped; the flag is gone at the end and learning permanent."""
    async with running_rollout(env) as rollout:
        await rollout.wait_until(lambda s: "waiting for approval" in _last(s))
        await rollout.approve()
        result = await rollout.handle.result()
        assert result.status is Status.HEALTHY
        assert rollout.flags.percentages == [0, 0, 5, 100, 0]
        document = await rollout.flags.environment("default").document()
        assert "learning" not in document.flags
        assert document.phases.enable_online_learning
        assert not document.phases.enable_feature_flags
        assert result.report == "report.md"


def _last(state: object) -> str:
    return "waiting for approval" if getattr(state, "step_index", 0) == 3 else ""
