"""Many rollouts side by side on one time-skipping server, each with a script of what happens to it.

The server skips time only while no activity runs. So a script acts inside the watch's turns (and the
read-back after a rollback): the moment is known, nothing polls, and time waits until it has acted.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.check import CheckActivities
from activities.checklist import ChecklistActivities
from activities.code_revert import CodeRevertActivities
from activities.contract.models import (
    ChecklistRequest,
    ChecklistResult,
    Confirmation,
    ConfirmRequest,
    EndRecord,
    ReportReceipt,
    ReportRequest,
    RevertReceipt,
    RevertRequest,
    WatchCheckpoint,
    WatchRequest,
    WatchResult,
)
from activities.flags import FlagActivities
from activities.identity import IdentityActivities
from activities.timeline import TimelineActivities
from activities.watch import RedFlagWatch, WatchActivities
from sluice.rehearsal.runner.adapters import workflow_time
from sluice.rehearsal.runner.clock_watchdog import ActivityTracker, keep_clock_running
from sluice.rollout.engine.flag_target import FlagReceipt, FlagWrite
from sluice.rollout.engine.world import CheckRequest, CheckResult
from tests.workflows.rollout_case import RolloutCase
from workflows.models import RolloutInput, workflow_id
from workflows.rollout_workflow import RolloutWorkflow

QUEUE = "rollout-batch"
IDLE_CHECKS = 6
POLL_INTERVAL = timedelta(minutes=29)
REAL_SECONDS_MAX = 240
SETTLE_TIME = timedelta(hours=6)


@dataclass
class RolloutBatch:
    """The activities of every scene, found by the id of the workflow that asks."""

    cases: dict[str, RolloutCase] = field(default_factory=dict)
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    tracker: ActivityTracker = field(default_factory=ActivityTracker)

    @property
    def _case(self) -> RolloutCase:
        return self.cases[activity.info().workflow_id or ""]

    @activity.defn(name="apply_flag")
    async def apply(self, write: FlagWrite) -> FlagReceipt:
        return await FlagActivities(self._case.flags).apply(write)

    @activity.defn(name="confirm_flag")
    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        await self._case.take_turn()
        return await FlagActivities(self._case.flags).confirm(request)

    @activity.defn(name="check_gates")
    async def check(self, request: CheckRequest) -> CheckResult:
        return await CheckActivities(self._case.metrics, self._case.ledger).check(request)

    @activity.defn(name="check_items")
    async def items(self, request: ChecklistRequest) -> ChecklistResult:
        return await ChecklistActivities(self._case.metrics, self._case.site).check_items(request)

    @activity.defn(name="write_report")
    async def report(self, request: ReportRequest) -> ReportReceipt:
        scene, self._case.reports_broken = self._case, None
        if scene.reports_broken is not None:
            raise scene.reports_broken
        return ReportReceipt(markdown="report.md", html="report.html")

    @activity.defn(name="record_end")
    async def end(self, ending: EndRecord) -> None:
        await TimelineActivities(self._case.ledger).record_end(ending)

    @activity.defn(name="revert_code")
    async def revert(self, request: RevertRequest) -> RevertReceipt:
        return await CodeRevertActivities(self._case.code).revert(request)

    @activity.defn(name="watch_red_flags")
    async def watch(self, request: WatchRequest) -> WatchResult:
        """One turn per attempt; what the watch remembers between turns is kept as by its heartbeat.

        After an act it ends as at the end of a shift, and the workflow starts the next: what was done
        may have cancelled this one, and the server never lets its clock go for a cancelled activity
        that fails.
        """
        scene, info = self._case, activity.info()
        if await scene.take_turn():
            return WatchResult()
        key = info.workflow_run_id, info.activity_id
        ports = WatchActivities(scene.metrics, scene.flags, clock=workflow_time)
        last = scene.checkpoints.get(key, WatchCheckpoint())
        # Without the time: turns are far apart here, and each would report that nobody looked.
        watch = RedFlagWatch(ports, request, last.model_copy(update={"at": None}))
        finding = await watch.poll_once()
        scene.checkpoints[key] = watch.checkpoint
        if finding is not None:
            return WatchResult(
                finding=finding, sequential_states=watch.checkpoint.sequential_states
            )
        raise ApplicationError(
            "nothing yet", next_retry_delay=POLL_INTERVAL, category=ApplicationErrorCategory.BENIGN
        )

    def worker(self, env: WorkflowEnvironment, pool: ThreadPoolExecutor) -> Worker:
        return Worker(
            env.client,
            task_queue=QUEUE,
            workflows=[RolloutWorkflow],
            activities=[
                self.apply,
                self.confirm,
                self.check,
                self.items,
                self.report,
                self.end,
                self.revert,
                self.watch,
                IdentityActivities().verify,
            ],
            activity_executor=pool,
            interceptors=[self.tracker],
            graceful_shutdown_timeout=timedelta(seconds=5),
            workflow_runner=UnsandboxedWorkflowRunner(),  # other tests have the sandbox; it costs half
            build_id="rollout-batch",  # else the SDK hashes every module first
        )

    async def start(self, env: WorkflowEnvironment, name: str, case: RolloutCase) -> None:
        """Start the scene's rollout."""
        ident = f"{workflow_id(case.plan.flag)}-{name}"
        self.cases[ident] = case
        case.handle = await env.client.start_workflow(
            RolloutWorkflow.run, RolloutInput(plan=case.plan), id=ident, task_queue=QUEUE
        )

    async def run_to_end(self, env: WorkflowEnvironment) -> None:
        """Let time pass until every scene is over, with a new worker whenever one was killed.

        Then hours more: what was over must stay as it is. The clock is let go once: the server counts
        who let it go, and let go twice it would run on while an activity works.
        """
        deadline = asyncio.get_running_loop().time() + REAL_SECONDS_MAX
        with env.auto_time_skipping_disabled(), ThreadPoolExecutor(4) as pool:
            overs = asyncio.gather(
                *(self._wait_until_finished(scene) for scene in self.cases.values())
            )
            passing = asyncio.create_task(env.sleep(timedelta(days=3000)))
            freeing = asyncio.create_task(keep_clock_running(env, self.tracker, IDLE_CHECKS))
            while not overs.done() and asyncio.get_running_loop().time() < deadline:
                self.killed.clear()
                async with self.worker(env, pool):
                    await self._wait_until_killed(overs, deadline)
                    if overs.done():
                        await _wait_for_skipped_time(env, SETTLE_TIME)
                        await asyncio.gather(*(one.record_end() for one in self.cases.values()))
            around: list[asyncio.Future[Any]] = [passing, freeing, overs]
            for task in around:
                task.cancel()
            await asyncio.gather(*around, return_exceptions=True)

    async def _wait_until_killed(self, overs: asyncio.Future[Any], deadline: float) -> None:
        killed = asyncio.create_task(self.killed.wait())
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait(
            [overs, killed], return_when=asyncio.FIRST_COMPLETED, timeout=max(0.0, left)
        )
        killed.cancel()

    async def _wait_until_finished(self, scene: RolloutCase) -> None:
        """Wait until a case is over by its script, or its workflow ended."""
        assert scene.handle is not None
        ended = asyncio.create_task(scene.handle.result())
        over = asyncio.create_task(scene.finished.wait())
        await asyncio.wait([ended, over], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        over.cancel()


async def _wait_for_skipped_time(env: WorkflowEnvironment, span: timedelta) -> None:
    """Wait until so much of the skipped time has passed."""
    until = await env.get_current_time() + span
    async with asyncio.timeout(REAL_SECONDS_MAX):
        while await env.get_current_time() < until:  # noqa: ASYNC110  the server has no other interface
            await asyncio.sleep(0.05)
