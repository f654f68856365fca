"""The channels that notices go to: a log, a signed webhook, Alertmanager."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from activities.adapters.webhook_signing import signed_headers
from activities.contract.errors import NoticeRefusedError, NoticeUndeliveredError
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.plan.notification import Notice
from sluice.rollout.printable import escape_line

POST_SECONDS_MAX = 10.0
BUSY_STATUSES = (408, 425, 429)
ALERT_DURATION = timedelta(days=1)
"""Alertmanager forgets an alert that nobody repeats; a person should have acted by then."""
_LOG_LEVELS = {
    Severity.P0: logging.CRITICAL,
    Severity.P1: logging.ERROR,
    Severity.P2: logging.WARNING,
}


@dataclass(frozen=True)
class LogChannel:
    """The worker's own log, at the level of the severity."""

    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("sluice.notices"))

    async def send(self, notice: Notice) -> str:
        """See ``activities.contract.ports.NoticeChannel``."""
        level = logging.INFO if notice.resolved else _LOG_LEVELS.get(notice.severity, logging.INFO)
        page = f"; what to do: {notice.runbook}" if notice.runbook else ""
        link = f"; console: {notice.link}" if notice.link else ""
        text = escape_line(f"{headline(notice)}: {notice.text}{page}{link}")
        self.logger.log(level, "%s (%s)", text, notice.key)
        return "logged"


@dataclass(frozen=True)
class WebhookChannel:
    """JSON to any receiver, signed; ``webhook-id`` is the key to drop repetitions by."""

    http: httpx.AsyncClient
    url: str
    secret: str
    clock: Callable[[], float] = time.time

    async def send(self, notice: Notice) -> str:
        """See ``activities.contract.ports.NoticeChannel``."""
        body = notice.model_dump_json().encode()
        headers = signed_headers(self.secret, notice.key, int(self.clock()), body)
        return await post_json(self.http, self.url, body, headers)


@dataclass(frozen=True)
class AlertmanagerChannel:
    """Alertmanager's API v2. It drops repetitions itself: the labels name what is wrong."""

    http: httpx.AsyncClient
    url: str

    async def send(self, notice: Notice) -> str:
        """See ``activities.contract.ports.NoticeChannel``."""
        body = json.dumps([alert(notice)]).encode()
        return await post_json(self.http, f"{self.url.rstrip('/')}/api/v2/alerts", body, {})


def alert(notice: Notice) -> dict[str, Any]:
    """Return the notice as Alertmanager's alert; a resolved one ends now."""
    ends_at = notice.at if notice.resolved else notice.at + ALERT_DURATION
    return {
        "labels": {
            "alertname": "SluiceNotice",
            "alert": notice.alert,
            "flag": notice.flag,
            "severity": str(notice.severity),
            "rollout": notice.rollout_id,
        },
        "annotations": {
            "summary": notice.title,
            "description": notice.text,
            "key": notice.key,
            **({"runbook_url": notice.runbook} if notice.runbook else {}),
            **({"console_url": notice.link} if notice.link else {}),
        },
        **({} if notice.resolved else {"startsAt": notice.at.isoformat()}),
        "endsAt": ends_at.isoformat(),
    }


def headline(notice: Notice) -> str:
    return f"resolved: {notice.title}" if notice.resolved else notice.title


async def post_json(
    http: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]
) -> str:
    """Post JSON and return the answer's status.

    Raises:
        NoticeUndeliveredError: no answer, 5xx, or the receiver is busy.
        NoticeRefusedError: any other answer: sending the same again would not help.
    """
    headers = {"content-type": "application/json", **headers}
    try:
        answer = await http.post(url, content=body, headers=headers, timeout=POST_SECONDS_MAX)
    except httpx.HTTPError as error:
        raise NoticeUndeliveredError(f"{type(error).__name__}: {error}") from error
    if answer.is_success:
        return f"HTTP {answer.status_code}"
    text = f"HTTP {answer.status_code}: {answer.text[:200]}"
    if answer.is_server_error or answer.status_code in BUSY_STATUSES:
        raise NoticeUndeliveredError(text)
    raise NoticeRefusedError(text)
