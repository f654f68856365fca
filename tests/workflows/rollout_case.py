"""One rollout of a table: its ports, its script, and the person who looks after it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio.client import WorkflowHandle

from activities.contract.models import LedgerEntry, WatchCheckpoint
from activities.doubles.environment_probe import MemoryEnvironmentProbe
from activities.doubles.ledger import MemoryLedger
from sluice.rehearsal.runner.adapters import workflow_time
from sluice.rehearsal.runner.auto_approver import needs_real_person, next_command
from sluice.rollout.engine.state import State
from sluice.rollout.plan.schema import RolloutPlan
from tests.doubles.plan_metrics import PlanMetrics
from tests.workflows.doubles import RecordingFlags, ScriptedCodeRepository
from workflows.models import RolloutResult
from workflows.rollout_workflow import RolloutWorkflow

Handle = WorkflowHandle[RolloutWorkflow, RolloutResult]


class FailingLedger(MemoryLedger):
    """A ledger that can be out of reach."""

    broken: Exception | None = None

    async def append(self, entry: LedgerEntry) -> LedgerEntry:
        if self.broken is not None:
            raise self.broken
        return await super().append(entry)


@dataclass(frozen=True)
class ScriptedAction:
    """``do``, at the first turn at which ``when`` has held for ``after``."""

    when: Callable[[State], bool]
    do: Callable[["RolloutCase"], Awaitable[None]]
    after: timedelta = timedelta(0)


@dataclass
class RolloutCase:
    """One rollout, its ports, and the acts still to come. ``absent``: nobody approves anything."""

    plan: RolloutPlan
    metrics: PlanMetrics
    actions: list[ScriptedAction] = field(default_factory=list)
    unattended: bool = False
    flags: RecordingFlags = field(default_factory=RecordingFlags)
    ledger: FailingLedger = field(default_factory=FailingLedger)
    site: MemoryEnvironmentProbe = field(default_factory=MemoryEnvironmentProbe)
    code: ScriptedCodeRepository = field(default_factory=ScriptedCodeRepository)
    reports_broken: Exception | None = None
    handle: Handle | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    checkpoints: dict[tuple[str | None, str], WatchCheckpoint] = field(default_factory=dict)
    condition_since: datetime | None = None
    end: str = "not over"
    turn_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def percentages(self) -> list[float]:
        """Every percentage that the rollout gave its flag, in order, without repetitions."""
        written = self.flags.percentages
        return [p for i, p in enumerate(written) if i == 0 or p != written[i - 1]]

    async def record_end(self) -> None:
        """Note how it ended, or what it is: asked while a worker can still answer."""
        assert self.handle is not None
        description = await self.handle.describe()
        closed = description.status.name if description.status else ""
        if closed not in ("RUNNING", "COMPLETED"):
            self.end = closed.capitalize()
        else:
            self.end = str((await self.handle.query(RolloutWorkflow.get_state)).status)

    async def take_turn(self) -> bool:
        """Do what is due, or else what the rollout waits for of a person; True when anything was done."""
        assert self.handle is not None
        async with self.turn_lock:
            state = await self.handle.query(RolloutWorkflow.get_state)
            if self.actions:
                if await self._run_action_if_due(self.actions[0], state):
                    return True
            elif needs_real_person(state):
                self.finished.set()
            if self.unattended or (command := next_command(state, workflow_time())) is None:
                return False
            await self.handle.execute_update(*command)
            return True

    async def _run_action_if_due(self, act: ScriptedAction, state: State) -> bool:
        now = workflow_time()
        if self.condition_since is None and act.when(state):
            self.condition_since = now
        if self.condition_since is None or now - self.condition_since < act.after:
            return False
        self.actions.pop(0)
        self.condition_since = None
        await act.do(self)
        return True
