"""Slack's interactive buttons decide in the name of the mapped person."""

import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.console.consoles import SLACK_SECRET, JsonInbox, ProvenConsole
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
    live, answers = proven.live, JsonInbox()
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
        assert "UEVE is not in SLUICE_SLACK_PEOPLE" in (await answers.next())["text"]
        assert (await proven.state()).entry.approvals == ()
        sent = slack_request(click("UBOB", "approve"))
        assert (await slack.post("/slack/actions", **sent)).status_code == 200
        assert "Done: approve" in (await answers.next())["text"]
        assert (await slack.post("/slack/actions", **sent)).status_code == 403
        record = (await proven.state()).entry.approvals
        assert [one.fingerprint.rpartition("/")[2] for one in record] == ["bob@example.org"]
        await slack.post("/slack/actions", **slack_request(click("UEVE", "abort")))
        assert "Done: abort" in (await answers.next())["text"]
        assert (await proven.state()).percentage == 0
