"""Getting a step ready to start: its checklist, and what happens when nobody approves."""

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.checklist import ChecklistActivities
    from activities.checklist_models import ItemsRequest, ItemsResult
    from rollout import waiting
    from rollout.checklist import Answer
    from rollout.decide import LookThrough
    from workflows import policies
    from workflows.base import cause
    from workflows.watching import Watching


class Readying(Watching):
    """Effects before a step is live."""

    async def do_look_through(self, decision: LookThrough) -> None:
        """Let the machine look; what it can't look at isn't done."""
        state, now = self.state, workflow.now()
        request = ItemsRequest(
            rollout_id=state.rollout_id,
            step=state.step.name if state.step else "",
            environment=state.plan.environment,
            at=now,
            items=decision.items,
            metrics=state.plan.metrics,
            baselines=state.plan.baselines,
            baseline=state.baseline,
        )
        try:
            result: ItemsResult = await self.unless_urgent(
                workflow.start_activity_method(
                    ChecklistActivities.check_items,
                    request,
                    summary=f"checklist of {request.step}",
                    **policies.CHECKLIST,
                )
            )
            answers = result.answers
        except FailureError as error:
            answers = _unanswered(request, cause(error))
        waiting.answered(state, workflow.now(), answers)


def _unanswered(request: ItemsRequest, why: str) -> tuple[Answer, ...]:
    because = f"could not be looked at: {why}"
    return tuple(
        Answer(item=item.name, passed=False, because=because, at=request.at)
        for item in request.items
    )
