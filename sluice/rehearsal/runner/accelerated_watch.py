"""The red-flag watch of a rehearsal: production's poll, run only at times with a finding.

Time is skipped between the attempts of an activity, never during one. So the watch ends each poll
with a retry at the time of the next. Verdicts and findings come from production code.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.api.testservice.v1 import UnlockTimeSkippingRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.contract.heartbeat import heartbeating
from activities.contract.models import WatchCheckpoint, WatchRequest, WatchResult
from activities.measuring.blindness import BLIND
from activities.watch import RedFlagWatch, WatchActivities
from sluice.rehearsal.lookahead.watch_spec import Breach, WatchSpec, has_both_cohorts
from sluice.rehearsal.recorder.remote_timeline import RemoteTimeline
from sluice.rehearsal.runner.adapters import workflow_time
from sluice.rehearsal.runner.auto_approver import AutoApprover, approver_id
from sluice.rehearsal.ticks import handover_span, lookahead_span
from sluice.rollout.analysis.failure_runs import FailureRun


@dataclass(frozen=True)
class AcceleratedWatch:
    """Watch activity with one poll per attempt."""

    watch: WatchActivities
    timeline: RemoteTimeline
    client: Client
    _run_ids: set[str] = field(default_factory=set)

    @activity.defn(name="watch_red_flags")
    async def watch_red_flags(self, request: WatchRequest) -> WatchResult:
        """Return the current finding, or retry at the time of the next one."""
        await self._unlock_clock(activity.info().workflow_run_id)
        async with heartbeating():  # on a busy machine a poll may outlast the watch's heartbeat
            return await self._poll(request)

    async def _poll(self, request: WatchRequest) -> WatchResult:
        now, began = workflow_time(), activity.info().scheduled_time
        weighs = has_both_cohorts(request.evidence_context)
        span = handover_span(self.timeline.plan) if weighs else lookahead_span(self.timeline.plan)
        ahead = await asyncio.to_thread(self._next_breach, request, now, span)
        if ahead.names and ahead.at <= now:
            # The look ahead reads whole windows, so the turn that confirms it does too.
            whole_window_request = request.model_copy(update={"live_since": None})
            watch = RedFlagWatch(self.watch, whole_window_request, _checkpoint(request, ahead))
            if finding := await watch.poll_once():
                if finding.kind == "blind":
                    await self._announce_pause()
                return WatchResult(
                    finding=finding, sequential_states=watch.checkpoint.sequential_states
                )
            ahead = Breach(now + timedelta(seconds=60))
        if weighs and now - began >= handover_span(self.timeline.plan):
            breach = await asyncio.to_thread(self._next_breach, request, now, timedelta(0))
            return WatchResult(sequential_states=breach.tracks)
        raise ApplicationError(
            "nothing yet",
            next_retry_delay=max(ahead.at - now, timedelta(seconds=1)),
            category=ApplicationErrorCategory.BENIGN,
        )

    async def _announce_pause(self) -> None:
        handle = self.client.get_workflow_handle(approver_id(activity.info().task_queue))
        await handle.signal(AutoApprover.on_pause)

    async def _unlock_clock(self, run: str | None) -> None:
        """Resume time skipping after the rollout continued as new.

        The test server (1.40) keeps its clock locked for an activity that is cancelled between two
        attempts by the task that continues as new: the watch of the last run.
        """
        if run is not None and self._run_ids and run not in self._run_ids:
            await self.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
        if run is not None:
            self._run_ids.add(run)

    def _next_breach(self, request: WatchRequest, now: datetime, span: timedelta) -> Breach:
        flags = tuple(flag for flag in request.red_flags if flag.name not in request.muted_findings)
        spec = WatchSpec(
            flags,
            request.metrics,
            request.baseline,
            request.interval_seconds,
            request.evidence_context,
            request.live_since,
            None if BLIND in request.muted_findings else request.blind_after,
        )
        return self.timeline.next_breach(spec, now, now + span)


def _checkpoint(request: WatchRequest, breach: Breach) -> WatchCheckpoint:
    """Return the watch's checkpoint at that time: the failures in a row so far."""
    needed = {gate.name: gate.consecutive for gate in request.red_flags}
    failures = {
        name: FailureRun(count=needed[name], at=breach.at) for name in breach.names if name != BLIND
    }
    return WatchCheckpoint(
        failure_runs=failures,
        sequential_states=breach.tracks,
        verdict_times=breach.blind_since,
    )
