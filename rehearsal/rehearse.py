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

from activities.checklist import ChecklistActivities
from activities.flags import FlagActivities
from activities.measure import MeasureActivities
from activities.memory_ledger import MemoryLedger
from activities.memory_site import MemorySite
from activities.models import CheckRecord
from activities.watch import WatchActivities
from rehearsal.clock import Work, keep_going
from rehearsal.distant import DistantCourse
from rehearsal.errors import ServerFailedError
from rehearsal.outcome import Outcome, outcome_of
from rehearsal.pace import START_HOUR
from rehearsal.person import PersonActivities, RehearsingPerson, says_lost
from rehearsal.ports import RecordedMetrics, RehearsedFlags, no_report, workflow_time
from rehearsal.recording import Recording
from rehearsal.scenario import Scenario
from rehearsal.watch import RehearsedWatch
from rollout.plan import RolloutPlan
from rollout.state import State
from rollout.verdict import Check
from workflows.models import RolloutInput, RolloutResult, workflow_id
from workflows.rollout_workflow import RolloutWorkflow

THREADS = 4
TRIES = 3


@dataclass(frozen=True)
class Played:
    """A rehearsal that is over: its outcome, and all the evidence for reports and pictures."""

    outcome: Outcome
    state: State
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Stage:
    """What rehearsals share: a server whose time is skipped, and the process that records."""

    env: WorkflowEnvironment
    recording: Recording

    async def rehearse(self, plan: RolloutPlan, scenario: Scenario, seed: int) -> Played:
        """Carry the plan out until it ends, or only a person could go on.

        Raises:
            ServerFailedError: the test server lost the rollout time and again.
            RecorderFailedError: the process that records ended.
        """
        work = Work()
        going = asyncio.create_task(keep_going(self.env, work))
        try:
            for _ in range(TRIES):
                try:
                    return await self._try((plan, scenario, seed), work)
                except WorkflowFailureError as error:
                    if not says_lost(error):
                        raise
        finally:
            going.cancel()
        raise ServerFailedError(f"Temporal's time-skipping server lost the rollout {TRIES} times")

    async def _try(self, rehearsed: tuple[RolloutPlan, Scenario, int], work: Work) -> Played:
        await self._to_monday()
        begin = await self.env.get_current_time()
        course = DistantCourse(*rehearsed, self.recording, begin)
        ledger = MemoryLedger()
        async with self._rolling_out(course, ledger, work) as (rollout, person):
            try:
                await self._over(person)
            except WorkflowFailureError:
                with suppress(RPCError):
                    await rollout.terminate("the rehearsal begins again")
                raise
            state = await rollout.query(RolloutWorkflow.get_state)
            if not state.ended:
                with suppress(RPCError):  # it may end while we say so
                    await rollout.terminate("the rehearsal is over")
        now = await self.env.get_current_time()
        entries = await ledger.entries(state.rollout_id, "check")
        checks = tuple(CheckRecord.model_validate_json(entry.body).check for entry in entries)
        return Played(outcome_of(state, course, now, "the workflow"), state, checks)

    async def _over(self, person: WorkflowHandle[RehearsingPerson, None]) -> None:
        """Wait until only a real person could go on; raise RecorderFailedError when nobody records."""
        ends = [asyncio.create_task(one) for one in (person.result(), self.recording.lost())]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for task in ends:
                task.cancel()

    async def _to_monday(self) -> None:
        now = await self.env.get_current_time()
        morning = now.replace(hour=int(START_HOUR), minute=0, second=0, microsecond=0)
        monday = morning + timedelta(days=(7 - now.weekday()) % 7)
        if monday <= now:
            monday += timedelta(days=7)
        await self.env.sleep(monday - now)

    @asynccontextmanager
    async def _rolling_out(
        self, course: DistantCourse, ledger: MemoryLedger, work: Work
    ) -> AsyncIterator[
        tuple[
            WorkflowHandle[RolloutWorkflow, RolloutResult], WorkflowHandle[RehearsingPerson, None]
        ]
    ]:
        queue, client = f"rehearsal-{uuid4()}", self.env.client
        with ThreadPoolExecutor(THREADS) as pool:
            async with Worker(
                client,
                task_queue=queue,
                workflows=[RolloutWorkflow, RehearsingPerson],
                activities=self._activities(course, ledger),
                activity_executor=pool,
                interceptors=[work],
                debug_mode=True,  # no deadlines in real time for workflow code, and no thread a task
                build_id="rehearsal",  # else the SDK hashes every module first
            ):
                rollout = await client.start_workflow(
                    RolloutWorkflow.run,
                    # A rehearsal tells nobody: what it would have told is in its timeline.
                    RolloutInput(plan=course.plan.model_copy(update={"notify": ()})),
                    id=f"{workflow_id(course.plan.flag)}-{queue}",
                    task_queue=queue,
                )
                person = await client.start_workflow(
                    RehearsingPerson.run, rollout.id, id=f"person-{queue}", task_queue=queue
                )
                yield rollout, person

    def _activities(self, course: DistantCourse, ledger: MemoryLedger) -> list[Callable[..., Any]]:
        metrics, flags = RecordedMetrics(course), RehearsedFlags(course)
        watch = WatchActivities(metrics, flags, ledger, clock=workflow_time)
        return [
            FlagActivities(flags).apply,
            FlagActivities(flags).confirm,
            MeasureActivities(metrics, ledger).check,
            ChecklistActivities(metrics, MemorySite()).check_items,
            RehearsedWatch(watch, course, self.env.client).watch_red_flags,
            no_report,
            PersonActivities(self.env.client).look,
        ]
