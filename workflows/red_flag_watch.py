"""The red-flag watch: one long-running activity for as long as a step's settings are live."""

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import WatchRequest, WatchResult
    from activities.watch import WatchActivities
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.evidence_context import build_evidence_context, merge_evidence
    from sluice.rollout.plan.schema import Step
    from workflows import activity_options
    from workflows.base import RolloutBase


@dataclass
class RunningWatch:
    request: WatchRequest
    task: asyncio.Task[None]


class WatchSupervisor(RolloutBase):
    """Keeps exactly one watch running, and the right one."""

    running_watch: RunningWatch | None = None

    def sync_watch(self) -> None:
        """Start, replace or stop the watch so that it fits the state."""
        wanted = self._desired_watch()
        if self.running_watch is not None and (
            self.running_watch.request != wanted or self.running_watch.task.done()
        ):
            self.stop_watch()
        if wanted is not None and self.running_watch is None:
            self.running_watch = RunningWatch(wanted, asyncio.create_task(self._run_watch(wanted)))

    def stop_watch(self) -> None:
        if self.running_watch is not None:
            self.running_watch.task.cancel()
            self.running_watch = None

    def _desired_watch(self) -> WatchRequest | None:
        state, step = self.state, self.state.exposed_step
        if step is None or state.has_ended or self.must_reduce_traffic():
            return None
        expected = state.percentage if self._owns_flag(step) else None
        if expected is None and not step.red_flags:
            return None
        return WatchRequest(
            rollout_id=state.rollout_id,
            step=step.name,
            environment=state.plan.environment,
            flag=state.plan.flag,
            percentage=expected,
            interval_seconds=state.plan.watch_interval.total_seconds(),
            metrics={g.metric: state.plan.metrics[g.metric] for g in step.red_flags},
            red_flags=step.red_flags,
            baseline=state.baseline,
            muted_findings=state.muted_findings,
            evidence_context=build_evidence_context(state, "red_flags", step),
            handover_seconds=activity_options.WATCH_HANDOVER.total_seconds(),
            stale_after=state.plan.stale_after,
            blind_after=state.plan.blind_limit,
            blind_severity=state.plan.blind_severity,
            live_since=state.exposed_since,
        )

    def _owns_flag(self, step: Step) -> bool:
        """Whether the flag exists by this step's doing: from the first percentage to its end."""
        index = self.state.plan.index(step.name)
        started = any(s.percentage is not None for s in self.state.plan.steps[: index + 1])
        return started and not step.delete_flag

    async def _run_watch(self, request: WatchRequest) -> None:
        try:
            end: WatchResult = await workflow.execute_activity_method(
                WatchActivities.watch,
                request,
                summary=f"red flags of {request.step}",
                **activity_options.watch_options(self.state.plan.watch_interval),
            )
        except FailureError as error:
            if not is_cancelled_exception(error):
                workflow.logger.error("the watch ended", exc_info=error)
                await workflow.sleep(1)
                self.wake()  # the main loop starts another one
            return
        merge_evidence(self.state, "red_flags", end.sequential_states)
        if end.finding is not None:
            transitions.raise_finding(self.state, workflow.now(), end.finding)
        self.wake()
