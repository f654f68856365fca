"""Every rollout in Temporal's retention, read over its service alone.

The full client takes twice as long to import, and a list needs neither payloads nor workflows.
"""

import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.service import RPCError

from sluice.cli.context import TemporalService
from sluice.cli.errors import CliError, Exit

QUERY = 'WorkflowType = "RolloutWorkflow"'
PREFIX = "rollout-"
STATUS_PREFIX = "WORKFLOW_EXECUTION_STATUS_"
CONTINUED = "continued_as_new"
RUNNING = "running"
PAGE_SIZE = 1000


class ListedRollout(NamedTuple):
    """One line of ``sluice list``; ``workflow`` is Temporal's status, ``status`` the rollout's."""

    flag: str
    workflow: str
    status: str
    step: str
    percentage: float | None
    started_at: datetime


async def list_rollouts(temporal: TemporalService) -> list[ListedRollout]:
    """Return every rollout once, newest first.

    Raises:
        CliError: UNREACHABLE.
    """
    try:
        return fold_runs([_listed_run(run) async for run in _list_runs(temporal)])
    except RPCError as error:
        raise CliError(f"Temporal: {error}", Exit.UNREACHABLE) from error


def fold_runs(runs: Iterable[ListedRollout]) -> list[ListedRollout]:
    """Return each rollout once, newest first: its last run, with its first run's start."""
    rollouts: list[ListedRollout] = []
    first_starts: dict[str, datetime] = {}
    for run in sorted(runs, key=lambda run: run.started_at):
        started_at = first_starts.pop(run.flag, run.started_at)
        if run.workflow == CONTINUED:
            first_starts[run.flag] = started_at
        else:
            rollouts.append(run._replace(started_at=started_at))
    return sorted(rollouts, key=lambda rollout: rollout.started_at, reverse=True)


async def _list_runs(temporal: TemporalService) -> AsyncIterator[WorkflowExecutionInfo]:
    request = ListWorkflowExecutionsRequest(
        namespace=temporal.namespace, query=QUERY, page_size=PAGE_SIZE
    )
    while True:
        page = await temporal.client.workflow_service.list_workflow_executions(request, retry=True)
        for run in page.executions:
            yield run
        if not page.next_page_token:
            return
        request.next_page_token = page.next_page_token


def _listed_run(run: WorkflowExecutionInfo) -> ListedRollout:
    attributes = {
        name: json.loads(payload.data)
        for name, payload in run.search_attributes.indexed_fields.items()
        if name.startswith("Sluice")
    }
    return ListedRollout(
        flag=run.execution.workflow_id.removeprefix(PREFIX),
        workflow=WorkflowExecutionStatus.Name(run.status).removeprefix(STATUS_PREFIX).lower(),
        status=attributes.get("SluiceStatus", ""),
        step=attributes.get("SluiceStage", ""),
        percentage=attributes.get("SluicePercentage"),
        started_at=run.start_time.ToDatetime(UTC),
    )
