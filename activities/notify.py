"""Telling people: one notice to one channel, until it took it."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.errors import NoticeRefusedError, temporal_errors
from activities.models import NoticeRequest
from activities.ports import NoticeChannel
from rollout.notice import Channel
from rollout.runbook import located


@dataclass(frozen=True)
class NoticeActivities:
    """Knows the channels that this worker was configured for, and where its runbooks are."""

    channels: Mapping[Channel, NoticeChannel]
    runbooks: str = ""

    @activity.defn(name="configured_channels")
    async def configured(self) -> list[Channel]:
        """Give the channels that this worker has addresses for."""
        return sorted(self.channels)

    @activity.defn(name="deliver_notice")
    async def deliver(self, request: NoticeRequest) -> str:
        """Send the notice and give the channel's answer; a repetition carries the same key.

        Raises:
            ApplicationError: type NoticeRefused, not retried: no such channel here, or refused.
            NoticeUndeliveredError: retried.
        """
        with temporal_errors():
            channel = self.channels.get(request.channel)
            if channel is None:
                raise NoticeRefusedError(
                    f"{request.channel} is not configured for the worker: see docs/notifications.md"
                )
            page = located(request.notice.runbook, self.runbooks)
            return await channel.send(request.notice.model_copy(update={"runbook": page}))
