"""Requests of Slack's interactive buttons, signed by Slack with the app's signing secret."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from sluice.console.web.forms import FormRejectedError
from sluice.rollout.engine.commands import Verb

TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 64_000
BUTTON_VERBS = (Verb.APPROVE, Verb.ABORT)


@dataclass(frozen=True, slots=True)
class SlackClick:
    """One click: the Slack user's id, the decision of the button, and where to answer."""

    user: str
    flag: str
    verb: Verb
    evidence: str
    step: str
    response_url: str


def require_slack_signature(
    headers: Mapping[str, str], body: bytes, secret: str, now_seconds: float
) -> str:
    """Return the request's signature, by which a repetition is known.

    Raises:
        FormRejectedError: not signed with the secret, or older than five minutes.
    """
    timestamp, signature = (
        headers.get("x-slack-request-timestamp", ""),
        headers.get("x-slack-signature", ""),
    )
    if not timestamp.isascii() or not timestamp.isdigit():
        raise FormRejectedError("the request has no X-Slack-Request-Timestamp")
    if abs(now_seconds - int(timestamp)) > TOLERANCE_SECONDS:
        raise FormRejectedError("the request is older than five minutes")
    text = f"v0:{timestamp}:".encode() + body
    expected = f"v0={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}"
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise FormRejectedError("the request is not signed by Slack")
    return signature


def parse_click(body: bytes) -> SlackClick | None:
    """Parse the payload; None for a button that only opens a link.

    Raises:
        FormRejectedError: not a payload of one of our buttons.
    """
    try:
        payload = json.loads(parse_qs(body.decode(), strict_parsing=True)["payload"][0])
        action = payload["actions"][0]
        if not str(action["action_id"]).startswith("sluice-"):
            return None
        value = json.loads(action["value"])
        verb = Verb(value["verb"])
        fields = {name: str(value[name]) for name in ("flag", "evidence", "step")}
        user, response_url = str(payload["user"]["id"]), str(payload["response_url"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise FormRejectedError(f"the payload cannot be read: {error!r}") from error
    if verb not in BUTTON_VERBS:
        raise FormRejectedError(f"no button decides {verb}")
    return SlackClick(user=user, verb=verb, response_url=response_url, **fields)
