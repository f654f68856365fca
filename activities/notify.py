"""Delivery of one notice to one channel, until the channel accepts it."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.contract.errors import NoticeRefusedError, temporal_errors
from activities.contract.models import NoticeRequest
from activities.contract.ports import NoticeChannel
from sluice.rollout.engine.runbook import runbook_url
from sluice.rollout.plan.notification import Channel, console_link


@dataclass(frozen=True)
class NoticeActivities:
    """The channels of this worker, and the addresses of its runbooks and of the console."""

    channels: Mapping[Channel, NoticeChannel]
    runbooks_url: str = ""
    console_url: str = ""

    @activity.defn(name="list_channels")
    async def list_channels(self) -> list[Channel]:
        """Return the channels that this worker has addresses for."""
        return sorted(self.channels)

    @activity.defn(name="deliver_notice")
    async def deliver(self, request: NoticeRequest) -> str:
        """Send the notice and return the channel's answer; a repetition carries the same key.

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
            notice = request.notice
            pages = {
                "runbook": runbook_url(notice.runbook, self.runbooks_url),
                "link": console_link(notice, self.console_url),
            }
            return await channel.send(notice.model_copy(update=pages))
