"""One rehearsal: the production workflow and activities, on recorded metrics and skipped time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.check import CheckActivities
from activities.checklist import ChecklistActivities
from activities.contract.models import CheckRecord
from activities.doubles.environment_probe import MemoryEnvironmentProbe
from activities.doubles.ledger import MemoryLedger
from activities.flags import FlagActivities
from activities.identity import IdentityActivities
from activities.timeline import TimelineActivities
from activities.watch import WatchActivities
from sluice.rehearsal.errors import ServerFailedError
from sluice.rehearsal.recorder.client import RecorderClient
from sluice.rehearsal.recorder.remote_timeline import RemoteTimeline
from sluice.rehearsal.results.result import RehearsalRun, build_result
from sluice.rehearsal.runner.accelerated_watch import AcceleratedWatch
from sluice.rehearsal.runner.adapters import (
    RecordedMetrics,
    RehearsalFlags,
    skip_report,
    workflow_time,
)
from sluice.rehearsal.runner.auto_approver import (
    ApproverActivities,
    AutoApprover,
    approver_id,
    is_stall_error,
)
from sluice.rehearsal.runner.clock_watchdog import ActivityTracker, keep_clock_running
from sluice.rehearsal.ticks import START_HOUR
from sluice.rehearsal.traffic.scenario import Scenario
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import RolloutPlan
from workflows.models import RolloutInput, RolloutResult, workflow_id
from workflows.rollout_workflow import RolloutWorkflow

THREADS = 4
ATTEMPTS_MAX = 3


@dataclass(frozen=True)
class RehearsalEnvironment:
    """The shared parts of rehearsals: the time-skipping server and the recorder process."""

    env: WorkflowEnvironment
    recorder: RecorderClient

    async def rehearse(self, plan: RolloutPlan, scenario: Scenario, seed: int) -> RehearsalRun:
        """Run the plan until it ends, or only a person could continue.

        Raises:
            ServerFailedError: the test server lost the rollout repeatedly.
            RecorderFailedError: the recorder process ended.
        """
        tracker = ActivityTracker()
        watchdog = asyncio.create_task(keep_clock_running(self.env, tracker))
        try:
            for _ in range(ATTEMPTS_MAX):
                try:
                    return await self._attempt((plan, scenario, seed), tracker)
                except WorkflowFailureError as error:
                    if not is_stall_error(error):
                        raise
        finally:
            watchdog.cancel()
        raise ServerFailedError(
            f"Temporal's time-skipping server lost the rollout {ATTEMPTS_MAX} times"
        )

    async def _attempt(
        self, case: tuple[RolloutPlan, Scenario, int], tracker: ActivityTracker
    ) -> RehearsalRun:
        await self._skip_to_monday()
        begin = await self.env.get_current_time()
        timeline = RemoteTimeline(*case, self.recorder, begin)
        ledger = MemoryLedger()
        async with self._rollout_worker(timeline, ledger, tracker) as (rollout, approver):
            try:
                state = await self._wait_for_approver(approver)
            except WorkflowFailureError:
                with suppress(RPCError):
                    await rollout.terminate("the rehearsal begins again")
                raise
            if not state.has_ended:
                with suppress(RPCError):  # it may end meanwhile
                    await rollout.terminate("the rehearsal is over")
        now = await self.env.get_current_time()
        entries = await ledger.entries(state.rollout_id, "check")
        checks = tuple(CheckRecord.model_validate_json(entry.body).check for entry in entries)
        return RehearsalRun(build_result(state, timeline, now, "the workflow"), state, checks)

    async def _wait_for_approver(self, approver: WorkflowHandle[AutoApprover, State]) -> State:
        """Return the state with which only a person could continue.

        Raises:
            RecorderFailedError: the recorder ended.
        """
        state = asyncio.create_task(approver.result())
        failure = asyncio.create_task(self.recorder.wait_for_failure())
        try:
            done, _ = await asyncio.wait((state, failure), return_when=asyncio.FIRST_COMPLETED)
            if failure in done:
                failure.result()
            return await state
        finally:
            state.cancel()
            failure.cancel()

    async def _skip_to_monday(self) -> None:
        now = await self.env.get_current_time()
        morning = now.replace(hour=int(START_HOUR), minute=0, second=0, microsecond=0)
        monday = morning + timedelta(days=(7 - now.weekday()) % 7)
        if monday <= now:
            monday += timedelta(days=7)
        await self.env.sleep(monday - now)

    @asynccontextmanager
    async def _rollout_worker(
        self, timeline: RemoteTimeline, ledger: MemoryLedger, tracker: ActivityTracker
    ) -> AsyncIterator[
        tuple[WorkflowHandle[RolloutWorkflow, RolloutResult], WorkflowHandle[AutoApprover, State]]
    ]:
        queue, client = f"rehearsal-{uuid4()}", self.env.client
        with ThreadPoolExecutor(THREADS) as pool:
            async with Worker(
                client,
                task_queue=queue,
                workflows=[RolloutWorkflow, AutoApprover],
                activities=self._activities(timeline, ledger),
                activity_executor=pool,
                interceptors=[tracker],
                debug_mode=True,  # no real-time deadlines for workflow code, and no thread per task
                build_id="rehearsal",  # else the SDK hashes every module first
            ):
                rollout = await client.start_workflow(
                    RolloutWorkflow.run,
                    # A rehearsal sends no notices; they are in its timeline.
                    RolloutInput(plan=timeline.plan.model_copy(update={"notify": ()})),
                    id=f"{workflow_id(timeline.plan.flag)}-{queue}",
                    task_queue=queue,
                )
                approver = await client.start_workflow(
                    AutoApprover.run, rollout.id, id=approver_id(queue), task_queue=queue
                )
                yield rollout, approver

    def _activities(
        self, timeline: RemoteTimeline, ledger: MemoryLedger
    ) -> list[Callable[..., Any]]:
        metrics, flags = RecordedMetrics(timeline), RehearsalFlags(timeline)
        watch = WatchActivities(metrics, flags, clock=workflow_time)
        return [
            FlagActivities(flags).apply,
            FlagActivities(flags).confirm,
            CheckActivities(metrics, ledger).check,
            ChecklistActivities(metrics, MemoryEnvironmentProbe()).check_items,
            AcceleratedWatch(watch, timeline, self.env.client).watch_red_flags,
            skip_report,
            TimelineActivities(ledger).record_end,
            IdentityActivities().verify,
            ApproverActivities(self.env.client).advance,
        ]
