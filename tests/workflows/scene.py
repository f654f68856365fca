"""One rollout of a table: its ports, its script, and the person who looks after it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio.client import WorkflowHandle

from activities.memory_ledger import MemoryLedger
from activities.memory_site import MemorySite
from activities.models import LedgerEntry, WatchNotes
from rehearsal.person import is_over, wanted
from rehearsal.ports import workflow_time
from rehearsal.readings import PlannedMetrics
from rollout.plan import RolloutPlan
from rollout.state import State
from tests.workflows.doubles import ScriptedCode, TrailingFlags
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
class Act:
    """``do``, at the first turn at which ``when`` has held for ``after``."""

    when: Callable[[State], bool]
    do: Callable[["Scene"], Awaitable[None]]
    after: timedelta = timedelta(0)


@dataclass
class Scene:
    """One rollout, its ports, and the acts still to come. ``absent``: nobody approves anything."""

    plan: RolloutPlan
    metrics: PlannedMetrics
    acts: list[Act] = field(default_factory=list)
    absent: bool = False
    flags: TrailingFlags = field(default_factory=TrailingFlags)
    ledger: FailingLedger = field(default_factory=FailingLedger)
    site: MemorySite = field(default_factory=MemorySite)
    code: ScriptedCode = field(default_factory=ScriptedCode)
    reports_broken: Exception | None = None
    handle: Handle | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    notes: dict[tuple[str | None, str], WatchNotes] = field(default_factory=dict)
    since: datetime | None = None
    end: str = "not over"
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def trail(self) -> list[float]:
        """Every percentage that the rollout gave its flag, in order, without repetitions."""
        written = self.flags.trail
        return [p for i, p in enumerate(written) if i == 0 or p != written[i - 1]]

    async def ending(self) -> None:
        """Note how it ended, or what it is: asked while a worker can still answer."""
        assert self.handle is not None
        description = await self.handle.describe()
        closed = description.status.name if description.status else ""
        if closed not in ("RUNNING", "COMPLETED"):
            self.end = closed.capitalize()
        else:
            self.end = str((await self.handle.query(RolloutWorkflow.get_state)).status)

    async def look(self) -> bool:
        """Do what is due, or else what the rollout waits for of a person; True when anything was done."""
        assert self.handle is not None
        async with self.looking:
            state = await self.handle.query(RolloutWorkflow.get_state)
            if self.acts:
                if await self._acted(self.acts[0], state):
                    return True
            elif is_over(state):
                self.over.set()
            if self.absent or (command := wanted(state, workflow_time())) is None:
                return False
            await self.handle.execute_update(*command)
            return True

    async def _acted(self, act: Act, state: State) -> bool:
        now = workflow_time()
        if self.since is None and act.when(state):
            self.since = now
        if self.since is None or now - self.since < act.after:
            return False
        self.acts.pop(0)
        self.since = None
        await act.do(self)
        return True
