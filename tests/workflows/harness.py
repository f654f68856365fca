"""A rollout on the time-skipping server, with metrics that a test scripts and flags in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.check import CheckActivities
from activities.checklist import ChecklistActivities
from activities.code_revert import CodeRevertActivities
from activities.doubles.environment_probe import MemoryEnvironmentProbe
from activities.doubles.ledger import MemoryLedger
from activities.flags import FlagActivities
from activities.identity import IdentityActivities
from activities.notify import NoticeActivities
from activities.timeline import TimelineActivities
from activities.watch import WatchActivities
from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
from sluice.rollout.engine.state import State
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan
from tests.workflows.doubles import (
    PollingWatch,
    RecordingFlags,
    RecordingNotices,
    ScriptedCodeRepository,
    ScriptedMetrics,
    ScriptedReports,
)
from workflows.models import RolloutInput, RolloutResult, workflow_id
from workflows.notice_workflow import NoticeWorkflow
from workflows.rollout_workflow import RolloutWorkflow
from workflows.signal_guard import SignalGuard

PLAN = """
name: short
flag: learning
watch_interval: 1s
metrics:
  errors: {query: 'errors{cohort=~"$cohort"}', samples: &queries 'queries{cohort=~"$cohort"}', unit: ratio}
  reward: {query: 'reward{cohort=~"$cohort"}', samples: *queries, unit: score}
baselines:
  - {metric: errors, cohort: control, threshold: 0, window: 5m, min_samples: 10}
steps:
  - name: baseline
    title: Baseline
    stage: 1
    phases: {enable_feature_flags: false, enable_online_learning: false}
    record_baseline: true
    interval: 10m
    hold: 1h
    deadline: 2h
    gates: [{metric: errors, cohort: control, threshold: 1%, window: 5m, min_samples: 10}]
  - name: dark
    title: Dark
    stage: 3
    phases: {enable_feature_flags: true, enable_online_learning: true}
    percentage: 0
    rollback_to: baseline
    interval: 10m
    hold: 1h
    deadline: 2h
    gates: [{metric: errors, cohort: control, threshold: 1%, window: 5m, min_samples: 10}]
  - name: ramp-5
    title: Five
    stage: 4
    percentage: 5
    whitelist: [user_alice]
    rollback_to: dark
    interval: 10m
    hold: 1h
    stable_for: 30m
    deadline: 3h
    gates: &gates
      - {metric: errors, threshold: 1%, window: 5m, min_samples: 10}
      - {metric: reward, threshold: 0.5, direction: above, window: 5m, min_samples: 10}
    red_flags: &red_flags
      - {name: error_spike, metric: errors, threshold: 5%, window: 1m, min_samples: 5}
      - {name: unhappy, metric: reward, threshold: 0.3, direction: above, window: 1m, severity: P1}
  - name: ramp-100
    title: Hundred
    stage: 4
    percentage: 100
    rollback_to: ramp-5
    approval: {required_approvals: 1}
    interval: 10m
    hold: 1h
    deadline: 3h
    gates: *gates
    red_flags: *red_flags
  - name: cleanup
    title: Cleanup
    stage: 5
    phases: {enable_feature_flags: false, enable_online_learning: true}
    delete_flag: true
    rollback_to: ramp-100
    interval: 10m
    hold: 30m
    deadline: 1h
    gates: [{metric: errors, threshold: 1%, window: 5m}]
"""
ALICE = Command(actor="alice", reason="a test says so")


SignStart = Callable[[str], Awaitable[Command]]
"""Makes the command that starts the rollout with this workflow id."""


@dataclass
class RunningRollout:
    """One running rollout and everything a test may turn."""

    env: WorkflowEnvironment
    handle: WorkflowHandle[RolloutWorkflow, RolloutResult]
    metrics: ScriptedMetrics
    flags: RecordingFlags
    reports: ScriptedReports
    site: MemoryEnvironmentProbe
    notices: RecordingNotices
    code: ScriptedCodeRepository
    ledger: MemoryLedger
    watch: PollingWatch

    async def state(self) -> State:
        return await self.handle.query(RolloutWorkflow.get_state)

    async def command(self, verb: Verb, command: Command = ALICE) -> Acknowledgement:
        answer: Acknowledgement = await self.handle.execute_update(
            verb, command, result_type=Acknowledgement
        )
        # The test server loses a task that cancels an activity which has just completed: let what
        # the command started end before the next command may cancel it.
        await asyncio.sleep(0.05)
        return answer

    async def approve(self, actor: str = "alice") -> Acknowledgement:
        """Approve on the newest readings, as the command line does."""
        evidence = (await self.state()).checks.latest
        shown = evidence.id if evidence else ""
        return await self.command(Verb.APPROVE, Command(actor=actor, evidence=shown))

    async def pass_time(self, minutes: int) -> None:
        """Skip time, after what is under way has ended: the test server's own sleep can hang else."""
        await asyncio.sleep(0.05)
        await self.env.sleep(minutes * 60)

    async def wait_until(self, condition: Callable[[State], bool], hours: int = 24) -> State:
        """Let time pass, five minutes at a time, until the state is as wanted."""
        for _ in range(hours * 12):
            state = await self.state()
            if condition(state):
                await asyncio.sleep(0.05)  # for the same reason as in ``command``
                return state
            await self.pass_time(5)
        raise AssertionError(f"not reached; the state is {state!r}")


def short_plan(text: str = PLAN) -> RolloutPlan:
    return parse_plan(text)


@asynccontextmanager
async def running_rollout(
    env: WorkflowEnvironment,
    rollout_plan: RolloutPlan | None = None,
    identity: IdentityActivities | None = None,
    sign_start: SignStart | None = None,
    client: Client | None = None,
) -> AsyncIterator[RunningRollout]:
    """Run a worker with scripted ports, and one rollout on it."""
    rollout_plan, client = rollout_plan or short_plan(), client or env.client
    metrics, flags, ledger = ScriptedMetrics(), RecordingFlags(), MemoryLedger()
    reports, site = ScriptedReports(), MemoryEnvironmentProbe()
    notices, code = RecordingNotices(), ScriptedCodeRepository()
    watch = PollingWatch(WatchActivities(metrics, flags))
    queue = f"test-{id(metrics)}"
    rollout_id = f"{workflow_id(rollout_plan.flag)}-{queue}"
    command = await sign_start(rollout_id) if sign_start else None
    with ThreadPoolExecutor(4) as pool:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[RolloutWorkflow, NoticeWorkflow],
            activities=[
                FlagActivities(flags).apply,
                FlagActivities(flags).confirm,
                CheckActivities(metrics, ledger).check,
                watch.watch_red_flags,
                reports.write_report,
                TimelineActivities(ledger).record_end,
                NoticeActivities({"log": notices, "webhook": notices}).deliver,
                CodeRevertActivities(code).revert,
                (identity or IdentityActivities()).verify,
                ChecklistActivities(metrics, site).check_items,
            ],
            activity_executor=pool,
            interceptors=[SignalGuard()],
            build_id="test",  # else the SDK hashes every module first
        ):
            handle = await client.start_workflow(
                RolloutWorkflow.run,
                RolloutInput(plan=rollout_plan, command=command),
                id=rollout_id,
                task_queue=queue,
            )
            yield RunningRollout(
                env, handle, metrics, flags, reports, site, notices, code, ledger, watch
            )
            await _end(handle)
    await _replay(client, handle)


async def _end(handle: WorkflowHandle[RolloutWorkflow, RolloutResult]) -> None:
    description = await handle.describe()
    if description.close_time is None:
        await handle.terminate("the test is over")
        await asyncio.sleep(0)


async def _replay(client: Client, handle: WorkflowHandle[RolloutWorkflow, RolloutResult]) -> None:
    """Replay the last run, as a worker without it in its cache does."""
    replayer = Replayer(
        workflows=[RolloutWorkflow],
        data_converter=client.data_converter,
        interceptors=[SignalGuard()],
    )
    await replayer.replay_workflow(await handle.fetch_history())
