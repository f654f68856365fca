"""Slack's interactive buttons decide in the name of the mapped person."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.console.consoles import SLACK_SECRET, ProvenConsole
from tests.integration.console.test_pages import wait_for

pytestmark = pytest.mark.integration


def slack_request(click: dict[str, object], secret: str = SLACK_SECRET) -> dict[str, Any]:
    """Sign a click as Slack does."""
    body = urlencode({"payload": json.dumps(click)}).encode()
    timestamp = str(int(time.time()))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, "sha256").hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": f"v0={digest}",
    }
    return {"content": body, "headers": headers}


async def test_button_in_slack_decides_as_the_mapped_person(proven: ProvenConsole) -> None:
    """Slack's signature is required, each click counts once, and the keyring knows the person."""
    live, answers = proven.live, SlackAnswers()
    async with answers.serving() as response_url, live.browser() as slack:
        async with live.logged_in() as ada:
            await wait_for(live, ada, "1 more approval needed")
        checked = (await proven.state()).checks.latest
        assert checked is not None

        def click(user: str, verb: str) -> dict[str, object]:
            value = {"flag": live.flag, "verb": verb, "evidence": checked.id, "step": "half"}
            action = {"action_id": f"sluice-{verb}", "value": json.dumps(value)}
            return {"user": {"id": user}, "actions": [action], "response_url": response_url}

        forged = slack_request(click("UBOB", "approve"), "guessed")
        assert (await slack.post("/slack/actions", **forged)).status_code == 403
        unknown = slack_request(click("UEVE", "approve"))
        assert (await slack.post("/slack/actions", **unknown)).status_code == 200
        assert "UEVE is not in SLUICE_SLACK_PEOPLE" in await answers.next()
        assert (await proven.state()).entry.approvals == ()
        sent = slack_request(click("UBOB", "approve"))
        assert (await slack.post("/slack/actions", **sent)).status_code == 200
        assert "approve: " in await answers.next()
        assert (await slack.post("/slack/actions", **sent)).status_code == 403
        record = (await proven.state()).entry.approvals
        assert [one.fingerprint.rpartition("/")[2] for one in record] == ["bob@example.org"]
        await slack.post("/slack/actions", **slack_request(click("UEVE", "abort")))
        assert "abort: " in await answers.next()
        assert (await proven.state()).percentage == 0


class SlackAnswers:
    """A real HTTP server at Slack's ``response_url``."""

    def __init__(self) -> None:
        self._texts: asyncio.Queue[str] = asyncio.Queue()

    async def next(self) -> str:
        return await asyncio.wait_for(self._texts.get(), 20)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/answer"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        self._texts.put_nowait(json.loads(await reader.readexactly(length))["text"])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
