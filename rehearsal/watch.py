"""The red-flag watch of a rehearsal: the real turn, taken at the moments at which it finds something.

Time is skipped between the attempts of an activity, never during one, so the watch ends each look
with "nothing yet" and the time of the next. Judging and findings are the production code's.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.api.testservice.v1 import UnlockTimeSkippingRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.heartbeat import heartbeating
from activities.models import WatchEnd, WatchNotes, WatchRequest
from activities.watch import RedFlagWatch, WatchActivities
from rehearsal.distant import DistantCourse
from rehearsal.guarded import Breach, Guarded, compares
from rehearsal.pace import horizon, shift
from rehearsal.ports import workflow_time


@dataclass(frozen=True)
class RehearsedWatch:
    """One look per attempt."""

    watch: WatchActivities
    course: DistantCourse
    client: Client
    _runs: set[str] = field(default_factory=set)

    @activity.defn(name="watch_red_flags")
    async def watch_red_flags(self, request: WatchRequest) -> WatchEnd:
        """Return what the watch finds now, or try again when there will be something to find."""
        await self._free_the_clock(activity.info().workflow_run_id)
        async with heartbeating():  # on a busy machine a look may outlast the watch's heartbeat
            return await self._look(request)

    async def _look(self, request: WatchRequest) -> WatchEnd:
        now, began = workflow_time(), activity.info().scheduled_time
        weighs = compares(request.exposure)
        span = shift(self.course.plan) if weighs else horizon(self.course.plan)
        ahead = await asyncio.to_thread(self._ahead, request, now, span)
        if ahead.names and ahead.at <= now:
            watch = RedFlagWatch(self.watch, request, _notes(request, ahead))
            if finding := await watch.turn():
                return WatchEnd(finding=finding, tracks=watch.notes.tracks)
            ahead = Breach(now + timedelta(seconds=60))
        if weighs and now - began >= shift(self.course.plan):
            handed = await asyncio.to_thread(self._ahead, request, now, timedelta(0))
            return WatchEnd(tracks=handed.tracks)
        raise ApplicationError(
            "nothing yet",
            next_retry_delay=max(ahead.at - now, timedelta(seconds=1)),
            category=ApplicationErrorCategory.BENIGN,
        )

    async def _free_the_clock(self, run: str | None) -> None:
        """Let time be skipped again after the rollout continued as new.

        The test server (1.40) never releases the hold on its clock of an activity that is cancelled
        between two attempts by the very task that continues as new: the watch of the last run.
        """
        if run is not None and self._runs and run not in self._runs:
            await self.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
        if run is not None:
            self._runs.add(run)

    def _ahead(self, request: WatchRequest, now: datetime, span: timedelta) -> Breach:
        flags = tuple(one for one in request.red_flags if one.name not in request.noted)
        guarded = Guarded(
            flags, request.metrics, request.baseline, request.interval_seconds, request.exposure
        )
        return self.course.next_breach(guarded, now, now + span)


def _notes(request: WatchRequest, breach: Breach) -> WatchNotes:
    """What the watch would remember by then: the row of failures that is about to be complete."""
    needed = {gate.name: gate.consecutive for gate in request.red_flags}
    failures = {name: needed[name] for name in breach.names}
    return WatchNotes(failures=failures, tracks=breach.tracks)
