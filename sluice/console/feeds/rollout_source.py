"""Rollouts in Temporal, over a connection that is opened on first use and again after a failure."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.contract.models import WatchCheckpoint
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.clients.watch_turns import WATCH_ACTIVITY
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
from sluice.rollout.engine.state import State
from workflows import temporal_ui
from workflows.models import ROLLOUT_ID_PREFIX, workflow_id
from workflows.rollout_workflow import RolloutWorkflow

ROWS_MAX = 500


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """One rollout as the list shows it, from Temporal's search attributes alone.

    ``run`` is the id of its first run. A flag has one row for each of its rollouts.
    """

    flag: str
    run: str
    is_latest: bool
    status: str
    step: str
    percentage: float | None
    is_running: bool
    started_at: datetime
    ended_at: datetime | None


class RolloutSource(Protocol):
    """Reads and commands of rollouts; every method raises CliError."""

    async def fetch_rows(self) -> list[RolloutRow]: ...
    async def fetch_state(self, flag: str) -> State: ...
    async def fetch_waiting(self, flag: str) -> tuple[str, datetime | None]: ...
    async def fetch_watch(self, flag: str) -> WatchCheckpoint | None: ...
    async def send_command(
        self, flag: str, verb: Verb, command: Command, seconds: float = 10
    ) -> Acknowledgement: ...
    async def send_signal(self, flag: str, verb: Verb, command: Command) -> None: ...


def _rows(rollouts: Sequence[Sequence[WorkflowExecution]]) -> Iterator[RolloutRow]:
    """Yield a row for each rollout; its runs are given newest first, and so are those of a flag."""
    seen: set[str] = set()
    for runs in rollouts[:ROWS_MAX]:
        last, first = runs[0], runs[-1]
        attributes = last.typed_search_attributes
        yield RolloutRow(
            flag=last.id.removeprefix(ROLLOUT_ID_PREFIX),
            run=first.run_id,
            is_latest=last.id not in seen,
            status=attributes.get(temporal_ui.STATUS) or "Starting",
            step=attributes.get(temporal_ui.STAGE) or "",
            percentage=attributes.get(temporal_ui.PERCENTAGE),
            is_running=last.status is WorkflowExecutionStatus.RUNNING,
            started_at=first.start_time,
            ended_at=last.close_time,
        )
        seen.add(last.id)


class TemporalRollouts:
    """The rollouts of one Temporal namespace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._rollouts: Rollouts | None = None

    async def fetch_rows(self) -> list[RolloutRow]:
        """List running rollouts and ended ones, newest first, at most ROWS_MAX."""
        client = (await self._connect()).client
        query = f'WorkflowType = "{RolloutWorkflow.__name__}"'
        rollouts: list[list[WorkflowExecution]] = []
        newest: dict[str, list[WorkflowExecution]] = {}
        async for execution in client.list_workflows(query):
            runs = newest.get(execution.id)
            if execution.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW:
                runs = newest[execution.id] = []
                rollouts.append(runs)
            if len(rollouts) > ROWS_MAX:
                break
            if runs is not None:  # else its successor has begun since the list was read
                runs.append(execution)
        return sorted(_rows(rollouts), key=lambda row: row.started_at, reverse=True)

    async def fetch_state(self, flag: str) -> State:
        return await (await self._connect()).fetch_state(flag)

    async def fetch_waiting(self, flag: str) -> tuple[str, datetime | None]:
        return await (await self._connect()).fetch_waiting(flag)

    async def fetch_watch(self, flag: str) -> WatchCheckpoint | None:
        """Return the last heartbeat of the red flags' watch; None while nothing is watched."""
        client = (await self._connect()).client
        try:
            description = await client.get_workflow_handle(workflow_id(flag)).describe()
        except RPCError as error:
            raise CliError(f"Temporal: {error.message}", Exit.UNREACHABLE) from error
        for pending in description.raw_description.pending_activities:
            payloads = pending.heartbeat_details.payloads
            if pending.activity_type.name == WATCH_ACTIVITY and payloads:
                (checkpoint,) = await client.data_converter.decode(payloads, [WatchCheckpoint])
                return WatchCheckpoint.model_validate(checkpoint)
        return None

    async def send_command(
        self, flag: str, verb: Verb, command: Command, seconds: float = 10
    ) -> Acknowledgement:
        return await (await self._connect()).send_command(flag, verb, command, seconds)

    async def send_signal(self, flag: str, verb: Verb, command: Command) -> None:
        await (await self._connect()).send_signal(flag, verb, command)

    async def _connect(self) -> Rollouts:
        async with self._lock:
            if self._rollouts is None:
                self._rollouts = Rollouts(await self._context.connect_temporal())
            return self._rollouts
