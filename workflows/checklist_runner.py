"""Getting a step ready to start: its checklist, and what happens when nobody approves."""

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.checklist import ChecklistActivities
    from activities.contract.models import ChecklistRequest, ChecklistResult
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.decide import RunChecklist
    from sluice.rollout.plan.checklist import ItemResult
    from workflows import activity_options
    from workflows.base import root_cause
    from workflows.red_flag_watch import WatchSupervisor


class ChecklistRunner(WatchSupervisor):
    """Effects before a step is live."""

    async def run_checklist(self, decision: RunChecklist) -> None:
        """Let the machine look; what it can't look at isn't done."""
        state, now = self.state, workflow.now()
        request = ChecklistRequest(
            rollout_id=state.rollout_id,
            step=state.step.name if state.step else "",
            environment=state.plan.environment,
            at=now,
            items=decision.items,
            metrics=state.plan.metrics,
            baseline_gates=state.plan.baselines,
            baseline=state.baseline,
        )
        try:
            result: ChecklistResult = await self.preemptible(
                workflow.start_activity_method(
                    ChecklistActivities.check_items,
                    request,
                    summary=f"checklist of {request.step}",
                    **activity_options.CHECKLIST,
                )
            )
            answers = result.results
        except FailureError as error:
            answers = _failed_items(request, root_cause(error))
        transitions.record_item_results(state, workflow.now(), answers)


def _failed_items(request: ChecklistRequest, reason: str) -> tuple[ItemResult, ...]:
    because = f"could not be looked at: {reason}"
    return tuple(
        ItemResult(item=item.name, passed=False, reason=because, at=request.at)
        for item in request.items
    )
