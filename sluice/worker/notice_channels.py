"""TODO."""

import httpx

from activities.adapters.channels import (
    AlertmanagerChannel,
    LogChannel,
    SlackChannel,
    WebhookChannel,
)
from activities.contract.ports import NoticeChannel
from sluice.rollout.plan.notification import Channel
from sluice.worker.settings import WorkerSettings, WorkerSettingsError


def configured_channels(
    http: httpx.AsyncClient, settings: WorkerSettings
) -> dict[Channel, NoticeChannel]:
    """The channels whose address is set; the log is always there.

    Raises:
        SettingsError: a webhook without a secret: nobody could tell that it is ours.
    """
    found: dict[Channel, NoticeChannel] = {"log": LogChannel()}
    if settings.webhook_url and not settings.webhook_secret:
        raise WorkerSettingsError(
            "SLUICE_WEBHOOK_SECRET: set it, SLUICE_WEBHOOK_URL is of no use alone"
        )
    if settings.webhook_url:
        found["webhook"] = WebhookChannel(http, settings.webhook_url, settings.webhook_secret)
    if settings.slack_url:
        found["slack"] = SlackChannel(http, settings.slack_url)
    if settings.alertmanager_url:
        found["alertmanager"] = AlertmanagerChannel(http, settings.alertmanager_url)
    return found
