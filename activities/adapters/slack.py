"""Notices in Slack: text for every receiver of its format, buttons where the console answers them."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from activities.adapters.channels import headline, post_json
from sluice.rollout.analysis.gate import Severity
from sluice.rollout.plan.notification import Notice

_EMOJI = {
    Severity.P0: ":rotating_light:",
    Severity.P1: ":warning:",
    Severity.P2: ":eyes:",
    Severity.P3: ":memo:",
}
SECTION_CHARACTERS_MAX = 2_900
"""Slack refuses a section of 3,000 characters or more."""


@dataclass(frozen=True)
class SlackChannel:
    """Slack's incoming webhooks, which Mattermost, Discord (``/slack``) and others take too.

    ``has_buttons``: the console answers Slack's interactive buttons (SLUICE_SLACK_SIGNING_SECRET).
    """

    http: httpx.AsyncClient
    url: str
    has_buttons: bool = False

    async def send(self, notice: Notice) -> str:
        """See ``activities.contract.ports.NoticeChannel``."""
        body = json.dumps(slack_message(notice, has_buttons=self.has_buttons)).encode()
        return await post_json(self.http, self.url, body, {})


def slack_message(notice: Notice, *, has_buttons: bool) -> dict[str, Any]:
    """Write the message; the buttons of a request carry the decision and its evidence."""
    mark = ":white_check_mark:" if notice.resolved else _EMOJI[notice.severity]
    about = f"`{_escape(notice.flag)}` at {notice.percentage:g} %, step {_escape(notice.step or 'none')}"
    page = f"what to do: {notice.runbook}\n" if notice.runbook else ""
    link = f"<{notice.link}|open in the console> · " if notice.link else ""
    title, text = _escape(headline(notice)), _escape(notice.text)
    message = f"{mark} *{title}*\n{text}\n{page}{link}{about} · {notice.key}"
    if not has_buttons or notice.resolved or notice.alert != "approval_needed":
        return {"text": message}
    section = {"type": "mrkdwn", "text": message[:SECTION_CHARACTERS_MAX]}
    buttons = [_button(notice, "approve", "primary"), _button(notice, "abort", "danger")]
    blocks = [{"type": "section", "text": section}, {"type": "actions", "elements": buttons}]
    return {"text": message, "blocks": blocks}


def _button(notice: Notice, verb: str, style: str) -> dict[str, Any]:
    evidence = notice.evidence if verb == "approve" else ""
    text = f"{verb.capitalize()} on {evidence}" if evidence else verb.capitalize()
    value = {"flag": notice.flag, "verb": verb, "evidence": evidence, "step": notice.step or ""}
    return {
        "type": "button",
        "action_id": f"sluice-{verb}",
        "style": style,
        "text": {"type": "plain_text", "text": text[:75]},
        "value": json.dumps(value),
    }


def _escape(text: str) -> str:
    """Escape what Slack reads as links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
