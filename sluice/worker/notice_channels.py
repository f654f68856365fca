"""The notice channels that the worker's settings configure."""

import httpx

from activities.adapters.channels import (
    AlertmanagerChannel,
    LogChannel,
    WebhookChannel,
)
from activities.adapters.email import EmailChannel
from activities.adapters.slack import SlackChannel
from activities.contract.ports import NoticeChannel
from sluice.rollout.plan.notification import Channel
from sluice.worker.settings import WorkerSettings, WorkerSettingsError


def configured_channels(
    http: httpx.AsyncClient, settings: WorkerSettings
) -> dict[Channel, NoticeChannel]:
    """Return the channels with an address; the log channel is always included.

    Raises:
        WorkerSettingsError: a webhook without a secret, which receivers could not verify.
    """
    channels: dict[Channel, NoticeChannel] = {"log": LogChannel()}
    if settings.webhook_url and not settings.webhook_secret:
        raise WorkerSettingsError(
            "SLUICE_WEBHOOK_SECRET is empty; SLUICE_WEBHOOK_URL needs it to sign"
        )
    if settings.webhook_url:
        channels["webhook"] = WebhookChannel(http, settings.webhook_url, settings.webhook_secret)
    if settings.slack_url:
        channels["slack"] = SlackChannel(http, settings.slack_url, settings.slack_buttons)
    if settings.alertmanager_url:
        channels["alertmanager"] = AlertmanagerChannel(http, settings.alertmanager_url)
    if settings.smtp_url:
        channels["email"] = _email_channel(settings)
    return channels


def _email_channel(settings: WorkerSettings) -> EmailChannel:
    recipients = tuple(part.strip() for part in settings.email_to.split(",") if part.strip())
    if not settings.email_from or not recipients:
        raise WorkerSettingsError("SLUICE_SMTP_URL needs SLUICE_EMAIL_FROM and SLUICE_EMAIL_TO")
    return EmailChannel(settings.smtp_url, settings.email_from, recipients)
