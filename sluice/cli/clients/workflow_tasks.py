"""Workflow tasks that fail: a worker polls, and yet the rollout does nothing."""

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

EVENTS_READ_MAX = 50
CAUSE_LENGTH_MAX = 300


async def describe_task_failure(client: Client, workflow_id: str) -> str:
    """Return a sentence with the cause when the workflow's tasks fail; empty when they do not.

    Raises:
        RPCError: Temporal refuses the request, or has no such workflow.
    """
    described = await client.get_workflow_handle(workflow_id).describe()
    attempt = described.raw_description.pending_workflow_task.attempt
    if attempt <= 1:
        return ""
    cause = await _last_cause(client, workflow_id, described.run_id)
    return (
        f"The workflow tasks of {workflow_id} fail (attempt {attempt}): {cause} "
        "Start workers with the code that began this rollout."
    )


async def _last_cause(client: Client, workflow_id: str, run_id: str) -> str:
    history = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            maximum_page_size=EVENTS_READ_MAX,
        )
    )
    for event in history.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            failure = event.workflow_task_failed_event_attributes.failure
            return f"{failure.message[:CAUSE_LENGTH_MAX].rstrip('.')}."
    return "their worker timed out."
