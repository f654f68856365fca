"""The rollout as Temporal has it on record: what is known of it without a worker."""

from temporalio.client import Client

from sluice.cli.clients.watch_turns import read_watch_turn
from workflows.temporal_ui import PERCENTAGE, STAGE, STATUS


async def describe_last_record(client: Client, workflow_id: str) -> str:
    """Return sentences with the last recorded status, and the time without a watch.

    Raises:
        RPCError: Temporal refuses the request, or has no such workflow.
        TimeoutError: Temporal's time is unknown.
    """
    described = await client.get_workflow_handle(workflow_id).describe()
    attributes = described.typed_search_attributes
    step, percentage = attributes.get(STAGE), attributes.get(PERCENTAGE)
    if percentage is None:
        return "It has not begun."
    record = f"Last recorded: {attributes.get(STATUS)}, step {step}, {percentage:g} % of users."
    turn = await read_watch_turn(client, described)
    return f"{record} Its watch: {turn.text}." if turn and turn.text else record
