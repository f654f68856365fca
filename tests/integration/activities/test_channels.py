"""Notices on the wire: signed, in each receiver's format, and what each answer means."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from activities.adapters.channels import WebhookChannel
from activities.adapters.email import EmailChannel, email_message
from activities.adapters.slack import SlackChannel
from activities.adapters.webhook_signing import is_authentic, signature
from activities.contract.errors import NoticeRefusedError, NoticeUndeliveredError
from activities.contract.models import NoticeRequest
from activities.notify import NoticeActivities
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.plan.notification import Notice
from sluice.worker.notice_channels import configured_channels
from sluice.worker.settings import WorkerSettings, WorkerSettingsError
from tests.free_port import free_port

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


REQUEST = NOTICE.model_copy(
    update={"alert": "approval_needed", "severity": Severity.P2, "evidence": "ramp-5/12"}
)
LINK = "https://sluice.example.org/rollouts/learning/decide/approve?evidence=ramp-5%2F12"


class MailReceiver:
    """The handler of a real SMTP server: stores what it accepts."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        self.messages.append(envelope.original_content or b"")
        return "250 OK"


async def test_request_for_approval_leads_to_the_decision_and_its_evidence(
    receiver: NoticeReceiver,
) -> None:
    """Log, Slack and e-mail carry the link; Slack's buttons carry the decision itself."""
    mail, port = MailReceiver(), free_port()
    settings = WorkerSettings(
        slack_url=receiver.url,
        slack_buttons=True,
        smtp_url=f"smtp://127.0.0.1:{port}",
        email_from="sluice@example.org",
        email_to="ada@example.org, bob@example.org",
    )
    server = Controller(mail, hostname="127.0.0.1", port=port)
    server.start()
    try:
        async with httpx.AsyncClient() as http:
            activities = NoticeActivities(
                configured_channels(http, settings), console_url="https://sluice.example.org"
            )
            for channel in ("slack", "email"):
                await activities.deliver(
                    NoticeRequest.model_validate({"channel": channel, "notice": REQUEST})
                )
    finally:
        server.stop()
    slack = json.loads(receiver.requests[0][2])
    assert f"<{LINK}|open in the console>" in slack["text"]
    approve, abort = slack["blocks"][1]["elements"]
    assert json.loads(approve["value"])["evidence"] == "ramp-5/12"
    assert json.loads(abort["value"])["verb"] == "abort"
    message = message_from_bytes(mail.messages[0])
    assert message["to"] == "ada@example.org, bob@example.org"
    assert message["message-id"] == "<run-1@sluice>"
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert f"Decide: {LINK}" in body.decode()


def test_mail_promises_a_decision_only_where_the_link_leads_to_one() -> None:
    channel = EmailChannel("smtp://127.0.0.1:1", "sluice@example.org", ("ada@example.org",))
    ended = REQUEST.model_copy(update={"link": "https://sluice.example.org/rollouts/learning"})
    for notice, label in ((REQUEST.model_copy(update={"link": LINK}), "Decide"), (ended, "Open")):
        assert f"\n{label}: {notice.link}" in email_message(notice, channel).get_content()


async def test_mail_server_that_is_away_or_without_tls_is_not_trusted() -> None:
    """No answer is retried; a remote server without STARTTLS gets neither password nor notice."""
    channel = EmailChannel("smtp://127.0.0.1:1", "sluice@example.org", ("ada@example.org",))
    with pytest.raises(NoticeUndeliveredError):
        await channel.send(REQUEST)
    with pytest.raises(WorkerSettingsError, match="SLUICE_EMAIL_FROM"):
        async with httpx.AsyncClient() as http:
            configured_channels(http, WorkerSettings(smtp_url="smtp://mail.example.org"))
