"""What a rollout needs of Temporal: search attributes, long retention, a worker that polls."""

from datetime import UTC, datetime, timedelta
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

from activities.health import POLLED_WITHIN
from cli.context import Context
from cli.doctor_findings import BAD, GOOD, Finding
from cli.errors import CliError
from workflows.policies import TASK_QUEUE
from workflows.presenting import ATTRIBUTES

RETENTION = timedelta(days=90)
"""A rollout takes 28 days, and its continued runs' histories vanish after this."""


async def look_at_temporal(context: Context, fix: bool) -> list[Finding]:
    """Look at everything; register missing search attributes; with ``fix`` set the retention."""
    try:
        client = await context.temporal()
    except CliError as error:
        return [Finding("temporal", BAD, str(error))]
    found = [Finding("temporal", GOOD, f"answers; namespace {client.namespace}")]
    for about, look in (
        ("search attributes", _attributes(client)),
        ("retention", _retention(client, fix)),
        ("worker", _worker(client)),
    ):
        try:
            found.append(await look)
        except RPCError as error:
            found.append(Finding(about, BAD, f"Temporal refuses to tell: {error}"))
    return found


async def _attributes(client: Client) -> Finding:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    wanted = {key.name: _type(key) for key in ATTRIBUTES}
    wrong = [n for n in wanted if known.custom_attributes.get(n, wanted[n]) != wanted[n]]
    if wrong:
        return Finding("search attributes", BAD, f"of another type: {', '.join(wrong)}")
    missing = {name: kind for name, kind in wanted.items() if name not in known.custom_attributes}
    if not missing:
        return Finding("search attributes", GOOD, ", ".join(wanted))
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
    )
    return Finding("search attributes", GOOD, f"registered {', '.join(missing)}")


def _type(key: SearchAttributeKey[Any]) -> "IndexedValueType.ValueType":
    return cast("IndexedValueType.ValueType", int(key.indexed_value_type))


async def _retention(client: Client, fix: bool) -> Finding:
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    kept = described.config.workflow_execution_retention_ttl.ToTimedelta()
    if kept >= RETENTION:
        return Finding("retention", GOOD, f"histories are kept for {kept.days} days")
    if not fix:
        text = f"histories vanish after {kept}, in the middle of a rollout: `sluice doctor --fix`"
        return Finding("retention", "warn", text)
    ttl = Duration()
    ttl.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=ttl)
        )
    )
    return Finding("retention", GOOD, f"set to {RETENTION.days} days")


async def _worker(client: Client) -> Finding:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    now = datetime.now(UTC)
    fresh = [p for p in answer.pollers if now - p.last_access_time.ToDatetime(UTC) < POLLED_WITHIN]
    if not fresh:
        text = "none polls: no rollout moves and no red flag is watched; start `sluice worker`"
        return Finding("worker", "warn", text)
    current = answer.versioning_info.current_deployment_version.build_id
    if not any(_build_id(poller) == current for poller in fresh):
        waiting = ", ".join(sorted({_build_id(poller) or "unversioned" for poller in fresh}))
        text = f"only {waiting} polls, but {current or 'unversioned'} is current: no rollout moves"
        return Finding("worker", BAD, f"{text}. `temporal worker deployment set-current-version`")
    return Finding("worker", GOOD, f"polling: {', '.join(p.identity for p in fresh)}")


def _build_id(poller: PollerInfo) -> str:
    """The version that a worker polls for; empty when it takes no part in versioning."""
    options = poller.deployment_options
    versioned = (
        options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    )
    return options.build_id if versioned else ""
