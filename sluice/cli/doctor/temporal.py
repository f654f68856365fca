"""Checks of Temporal: search attributes, retention, and a polling worker."""

from datetime import UTC, timedelta
from typing import Any, cast

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType, WorkerVersioningMode
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from sluice.cli.clients.server_time import fetch_server_time
from sluice.cli.clients.watch_turns import fetch_watch_turn
from sluice.cli.clients.workflow_tasks import describe_task_failure
from sluice.cli.context import Context
from sluice.cli.doctor.finding import BAD, GOOD, WARN, DoctorFinding
from sluice.cli.errors import CliError
from sluice.worker.health import POLL_AGE_MAX
from workflows.activity_options import TASK_QUEUE
from workflows.models import ROLLOUT_WORKFLOW
from workflows.temporal_ui import SEARCH_ATTRIBUTES

RETENTION = timedelta(days=90)
"""A rollout takes 28 days. Temporal deletes the histories of its continued runs after this time."""


async def check_temporal(context: Context, fix: bool) -> list[DoctorFinding]:
    """Run every check; register missing search attributes; with ``fix`` set the retention."""
    try:
        client = await context.connect_temporal()
    except CliError as error:
        return [DoctorFinding("temporal", BAD, str(error))]
    findings = [DoctorFinding("temporal", GOOD, f"answers; namespace {client.namespace}")]
    for about, check in (
        ("search attributes", _check_search_attributes(client)),
        ("retention", _check_retention(client, fix)),
        ("worker", check_worker(client)),
        ("workflow tasks", _check_workflow_tasks(client)),
        ("watches", _check_watches(client)),
    ):
        try:
            findings.append(await check)
        except RPCError as error:
            findings.append(DoctorFinding(about, BAD, f"Temporal refused the request: {error}"))
    return findings


async def _check_search_attributes(client: Client) -> DoctorFinding:
    registered = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    expected_types = {key.name: _value_type(key) for key in SEARCH_ATTRIBUTES}
    wrong = [
        n
        for n in expected_types
        if registered.custom_attributes.get(n, expected_types[n]) != expected_types[n]
    ]
    if wrong:
        return DoctorFinding("search attributes", BAD, f"of another type: {', '.join(wrong)}")
    missing = {
        name: kind
        for name, kind in expected_types.items()
        if name not in registered.custom_attributes
    }
    if not missing:
        return DoctorFinding("search attributes", GOOD, ", ".join(expected_types))
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
    )
    return DoctorFinding("search attributes", GOOD, f"registered {', '.join(missing)}")


def _value_type(key: SearchAttributeKey[Any]) -> "IndexedValueType.ValueType":
    return cast("IndexedValueType.ValueType", int(key.indexed_value_type))


async def _check_retention(client: Client, fix: bool) -> DoctorFinding:
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    retention = described.config.workflow_execution_retention_ttl.ToTimedelta()
    if retention >= RETENTION:
        return DoctorFinding("retention", GOOD, f"histories are kept for {retention.days} days")
    if not fix:
        text = f"Temporal deletes histories after {retention}, during a rollout; run `sluice doctor --fix`"
        return DoctorFinding("retention", WARN, text)
    ttl = Duration()
    ttl.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=ttl)
        )
    )
    return DoctorFinding("retention", GOOD, f"set to {RETENTION.days} days")


async def check_worker(client: Client) -> DoctorFinding:
    """Return a finding about the workers that poll the queue of rollouts."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    try:
        now = await fetch_server_time(client)
    except (RPCError, TimeoutError) as error:
        text = f"Temporal's time is unknown, and so are workers that ended: {error or 'no answer'}"
        return DoctorFinding("worker", WARN, text)
    fresh = [p for p in answer.pollers if now - p.last_access_time.ToDatetime(UTC) < POLL_AGE_MAX]
    if not fresh:
        text = "no worker polls: rollouts and red flag watches do not run; start `sluice worker`"
        level = BAD if await _running_rollouts(client) else WARN
        return DoctorFinding("worker", level, text)
    current = answer.versioning_info.current_deployment_version.build_id
    if not any(_build_id(poller) == current for poller in fresh):
        waiting = ", ".join(sorted({_build_id(poller) or "unversioned" for poller in fresh}))
        text = (
            f"only {waiting} polls, but {current or 'unversioned'} is current: rollouts do not run"
        )
        return DoctorFinding(
            "worker", BAD, f"{text}. `temporal worker deployment set-current-version`"
        )
    return DoctorFinding("worker", GOOD, f"polling: {', '.join(p.identity for p in fresh)}")


async def _check_workflow_tasks(client: Client) -> DoctorFinding:
    """Find running rollouts whose workflow tasks fail: they act on nothing."""
    ids = await _running_rollouts(client)
    failures = [cause for name in ids if (cause := await describe_task_failure(client, name))]
    if failures:
        return DoctorFinding("workflow tasks", BAD, " ".join(failures))
    return DoctorFinding(
        "workflow tasks", GOOD, f"rollouts that run: {len(ids)}; their tasks succeed"
    )


async def _check_watches(client: Client) -> DoctorFinding:
    """Find red-flag watches that no worker runs, or that do not keep their interval."""
    turns = {name: await fetch_watch_turn(client, name) for name in await _running_rollouts(client)}
    late = [f"{name}: {turn.text}" for name, turn in turns.items() if turn and turn.is_late]
    if late:
        return DoctorFinding("watches", BAD, f"{len(late)} of {len(turns)} fail. {late[0]}")
    blind = [f"{name}: {turn.text}" for name, turn in turns.items() if turn and turn.problem]
    if blind:
        return DoctorFinding(
            "watches", WARN, f"{len(blind)} of {len(turns)} see nothing. {blind[0]}"
        )
    looking = sum(turn is not None for turn in turns.values())
    return DoctorFinding("watches", GOOD, f"watches that look at their flags in time: {looking}")


async def _running_rollouts(client: Client) -> list[str]:
    query = f'WorkflowType = "{ROLLOUT_WORKFLOW}" AND ExecutionStatus = "Running"'
    return [workflow.id async for workflow in client.list_workflows(query)]


def _build_id(poller: PollerInfo) -> str:
    """Return the version that a worker polls for; empty for an unversioned worker."""
    options = poller.deployment_options
    versioned = (
        options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    )
    return options.build_id if versioned else ""
