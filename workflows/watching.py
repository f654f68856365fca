"""The red-flag watch: one long-running activity for as long as a step's settings are live."""

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.models import WatchEnd, WatchRequest
    from activities.watch import WatchActivities
    from rollout import moves
    from rollout.exposure import exposure, keep
    from rollout.plan import Step
    from workflows import policies
    from workflows.base import RolloutBase


@dataclass
class Watch:
    request: WatchRequest
    task: asyncio.Task[None]


class Watching(RolloutBase):
    """Keeps exactly one watch running, and the right one."""

    watch: Watch | None = None

    def sync_watch(self) -> None:
        """Start, replace or stop the watch so that it fits the state."""
        wanted = self._wanted()
        if self.watch is not None and (self.watch.request != wanted or self.watch.task.done()):
            self.stop_watch()
        if wanted is not None and self.watch is None:
            self.watch = Watch(wanted, asyncio.create_task(self._run(wanted)))

    def stop_watch(self) -> None:
        if self.watch is not None:
            self.watch.task.cancel()
            self.watch = None

    def _wanted(self) -> WatchRequest | None:
        state, step = self.state, self.state.exposed_step
        if step is None or state.ended or self.urgent():
            return None
        expected = state.percentage if self._flag_is_ours(step) else None
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
            noted=state.noted,
            exposure=exposure(state, "red_flags", step),
            shift_seconds=policies.WATCH_SHIFT.total_seconds(),
            stale_after=state.plan.stale_after,
        )

    def _flag_is_ours(self, step: Step) -> bool:
        """Whether the flag exists by this step's doing: from the first percentage to its end."""
        index = self.state.plan.index(step.name)
        started = any(s.percentage is not None for s in self.state.plan.steps[: index + 1])
        return started and not step.delete_flag

    async def _run(self, request: WatchRequest) -> None:
        try:
            end: WatchEnd = await workflow.execute_activity_method(
                WatchActivities.watch,
                request,
                summary=f"red flags of {request.step}",
                **policies.watch(self.state.plan.watch_interval),
            )
        except FailureError as error:
            if not is_cancelled_exception(error):
                workflow.logger.error("the watch ended", exc_info=error)
                await workflow.sleep(1)
                self.changed()  # the main loop starts another one
            return
        keep(self.state, "red_flags", end.tracks)
        if end.finding is not None:
            moves.found(self.state, workflow.now(), end.finding)
        self.changed()
