"""Notices on the wire: signed, in each receiver's format, and what each answer means."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from activities.adapters.channels import SlackChannel, WebhookChannel
from activities.adapters.webhook_signing import is_authentic, signature
from activities.contract.errors import NoticeRefusedError, NoticeUndeliveredError
from activities.contract.models import NoticeRequest
from activities.notify import NoticeActivities
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.plan.notification import Notice
from sluice.worker.notice_channels import configured_channels
from sluice.worker.settings import WorkerSettings, WorkerSettingsError

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime(2026, 11, 24, tzinfo=UTC)
NOTICE = Notice(
    key="run-1",
    severity=Severity.P0,
    alert="error_spike",
    title="P0 learning: error spike",
    text="error_rate 11 % is not below 5 %",
    at=AT,
    flag="learning",
    rollout_id="rollout-learning/run",
    step="ramp-25",
    percentage=25,
    runbook="docs/runbooks/error_spike.md",
)


class NoticeReceiver(ThreadingHTTPServer):
    """A real HTTP server that stores requests and sends scripted answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.status = 200
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class ReceiverHandler(BaseHTTPRequestHandler):
    server: NoticeReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Stay quiet."""


@pytest.fixture
def receiver() -> Iterator[NoticeReceiver]:
    with NoticeReceiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The reference vector of the specification."""
    body = b'{"test": 2432232314}'
    given = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_webhook_is_signed_fresh_and_carries_its_key(receiver: NoticeReceiver) -> None:
    """Tampered, old or signed with another secret it is not believed."""
    async with httpx.AsyncClient() as http:
        answer = await WebhookChannel(http, receiver.url, SECRET, lambda: 1000.9).send(NOTICE)
    assert answer == "HTTP 200"
    ((_, headers, body),) = receiver.requests
    assert (headers["webhook-id"], Notice.model_validate_json(body)) == ("run-1", NOTICE)
    assert is_authentic(SECRET, headers, body, now=1010)
    assert not is_authentic(SECRET, headers, body + b" ", now=1010)
    assert not is_authentic(SECRET, headers, body, now=2000)
    assert not is_authentic("other", headers, body, now=1010)
    assert not is_authentic(SECRET, {}, body, now=1010)


async def test_each_receiver_gets_its_own_format(receiver: NoticeReceiver) -> None:
    """Slack's text; Alertmanager's labels, firing for a day and ended when a person has acted."""
    settings = WorkerSettings(
        webhook_url=receiver.url,
        webhook_secret="any text",  # noqa: S106  a test's
        slack_url=f"{receiver.url}/services/T0",
        alertmanager_url=f"{receiver.url}/",
    )
    async with httpx.AsyncClient() as http:
        activities = NoticeActivities(
            configured_channels(http, settings), "https://our.example/sluice/"
        )
        for channel in ("log", "slack", "alertmanager"):
            await activities.deliver(
                NoticeRequest.model_validate({"channel": channel, "notice": NOTICE})
            )
        over = NOTICE.model_copy(update={"resolved": True})
        await activities.deliver(NoticeRequest(channel="alertmanager", notice=over))
    paths = [path for path, _, _ in receiver.requests]
    assert paths == ["/services/T0", "/api/v2/alerts", "/api/v2/alerts"]
    slack, firing, ended = (json.loads(body) for _, _, body in receiver.requests)
    assert "error spike" in slack["text"]
    page = "https://our.example/sluice/docs/runbooks/error_spike.md"
    assert f"what to do: {page}" in slack["text"]
    assert firing[0]["annotations"]["runbook_url"] == page
    assert firing[0]["labels"] == ended[0]["labels"]
    assert firing[0]["labels"]["severity"] == "P0"
    assert (firing[0]["startsAt"], firing[0]["endsAt"]) == (
        AT.isoformat(),
        "2026-11-25T00:00:00+00:00",
    )
    assert ended[0]["endsAt"] == AT.isoformat()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, NoticeUndeliveredError),
        (429, NoticeUndeliveredError),
        (404, NoticeRefusedError),
    ],
)
async def test_the_response_status_decides_whether_to_retry(
    receiver: NoticeReceiver, status: int, error: type[Exception]
) -> None:
    receiver.status = status
    async with httpx.AsyncClient() as http:
        with pytest.raises(error, match=str(status)):
            await SlackChannel(http, receiver.url).send(NOTICE)


async def test_a_refused_connection_is_retried() -> None:
    async with httpx.AsyncClient() as http:
        with pytest.raises(NoticeUndeliveredError):
            await asyncio.wait_for(SlackChannel(http, "http://127.0.0.1:1").send(NOTICE), 15)


async def test_a_webhook_without_a_secret_stops_the_worker() -> None:
    """Nobody could tell that it is ours."""
    async with httpx.AsyncClient() as http:
        with pytest.raises(WorkerSettingsError, match="SLUICE_WEBHOOK_SECRET"):
            configured_channels(http, WorkerSettings(webhook_url="http://127.0.0.1:1"))
