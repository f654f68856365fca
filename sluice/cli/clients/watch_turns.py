"""The red-flag watch of a running rollout: when it last looked, and whether it keeps its interval."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowExecutionDescription

from activities.contract.models import WatchCheckpoint
from sluice.cli.clients.server_time import fetch_server_time
from sluice.rollout.units import format_whole_seconds

ReadTime = Callable[[Client], Awaitable[datetime]]
WATCH_ACTIVITY = "watch_red_flags"
LATE_SECONDS_MAX = 5.0
"""A turn that comes later than this finds a red flag too late for a rollback within 10 s."""


@dataclass(frozen=True)
class WatchTurn:
    """The last turn of a watch, and by how much it, or the turn due since, is late.

    Times are of Temporal's server: the turn's, that of the watch's last heartbeat, and the present
    one where no worker runs the watch (``is_watched`` False).
    """

    at: datetime
    late: timedelta
    problem: str = ""
    is_watched: bool = True

    @property
    def is_late(self) -> bool:
        """True when red flags are not looked at as often as the plan asks."""
        return self.late.total_seconds() > LATE_SECONDS_MAX

    def document(self) -> dict[str, object]:
        """Return the turn as JSON values."""
        return {
            "at": self.at.isoformat(),
            "late_seconds": self.late.total_seconds(),
            "is_late": self.is_late,
            "is_watched": self.is_watched,
            "problem": self.problem,
        }

    @property
    def text(self) -> str:
        """One line for people; empty while the watch keeps its interval and measures."""
        if not self.is_late:
            return f"the red-flag watch: {self.problem}" if self.problem else ""
        span = format_whole_seconds(self.late)
        if not self.is_watched:
            return f"nobody has watched the red flags for {span}: start `sluice worker`"
        return (
            f"the red-flag watch comes {span} too late: its worker has too many rollouts, or too "
            "little CPU; start another `sluice worker`"
        )


async def fetch_watch_turn(
    client: Client, workflow_id: str, read_time: ReadTime = fetch_server_time
) -> WatchTurn | None:
    """Return the last turn of the rollout's watch; None while no watch is due or has looked.

    Raises:
        RPCError: Temporal refuses the request, or has no such workflow.
    """
    described = await client.get_workflow_handle(workflow_id).describe()
    return await read_watch_turn(client, described, read_time)


async def read_watch_turn(
    client: Client, described: WorkflowExecutionDescription, read_time: ReadTime = fetch_server_time
) -> WatchTurn | None:
    """Return what ``fetch_watch_turn`` does, of a rollout that is described already."""
    for pending in described.raw_description.pending_activities:
        if pending.activity_type.name != WATCH_ACTIVITY:
            continue
        if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED:
            return _unattended_turn(pending, await read_time(client))
        if pending.HasField("heartbeat_details"):
            return await _turn(client, pending)
    return None


def _unattended_turn(pending: Any, now: datetime) -> WatchTurn | None:  # noqa: ANN401  a protobuf
    """Return the turn of a watch that waits for a worker; None while that is soon enough.

    Temporal gives a watch whose worker has died back to the queue, with its last heartbeat.
    """
    has_looked = pending.HasField("last_heartbeat_time")
    last = pending.last_heartbeat_time if has_looked else pending.scheduled_time
    at = last.ToDatetime(UTC)
    turn = WatchTurn(at, now - at, is_watched=False)
    return turn if turn.is_late else None


async def _turn(client: Client, pending: Any) -> WatchTurn | None:  # noqa: ANN401  a protobuf
    details = await client.data_converter.decode(pending.heartbeat_details.payloads)
    checkpoint = WatchCheckpoint.model_validate(details[0]) if details else WatchCheckpoint()
    if checkpoint.at is None:
        return None
    due_at = checkpoint.at + timedelta(seconds=checkpoint.interval_seconds)
    overdue = pending.last_heartbeat_time.ToDatetime(UTC) - due_at
    late = max(overdue, timedelta(seconds=checkpoint.late_seconds))
    return WatchTurn(checkpoint.at, late, checkpoint.problem)
