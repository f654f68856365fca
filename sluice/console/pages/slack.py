"""Slack's interactive buttons: a click decides as the person whom the Slack user is mapped to.

The console vouches for the click as for an OIDC login. The keyring's lines give the rights.
"""

import httpx
import structlog
from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response

from sluice.cli.errors import CliError
from sluice.console.pages.decision_sending import DecisionRequest, send_abort, send_signed
from sluice.console.pages.rendering import refusal_message
from sluice.console.services import ConsoleServices, services_of
from sluice.console.web.forms import FormRejectedError, read_body
from sluice.console.web.slack_requests import (
    BODY_BYTES_MAX,
    SlackClick,
    parse_click,
    require_slack_signature,
)
from sluice.rollout.engine.commands import Verb

router = APIRouter()
ANSWER_SECONDS_MAX = 10
_logger = structlog.get_logger(__name__)


@router.post("/slack/actions")
async def take_action(request: Request) -> Response:
    """Take a click; Slack wants an answer within three seconds, so the decision follows it."""
    services = services_of(request)
    secret = services.settings.slack_signing_secret
    if not secret:
        return PlainTextResponse("SLUICE_SLACK_SIGNING_SECRET is not set\n", 404)
    body = await read_body(request, BODY_BYTES_MAX)
    now_seconds = services.now().timestamp()
    signature = require_slack_signature(request.headers, body, secret, now_seconds)
    if not services.slack_clicks.is_new(signature):
        raise FormRejectedError("this click was taken before")
    click = parse_click(body)
    if click is None:
        return Response()
    return Response(background=BackgroundTask(_decide, services, click))


async def _decide(services: ConsoleServices, click: SlackClick) -> None:
    try:
        text = await _send(services, click)
    except CliError as error:
        text = f"{click.verb} of {click.flag}: {refusal_message(error)}"
    answer = {"response_type": "ephemeral", "replace_original": False, "text": text}
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX) as http:
            await http.post(click.response_url, json=answer)
    except httpx.HTTPError as error:
        _logger.warning("slack not answered", error=repr(error))


async def _send(services: ConsoleServices, click: SlackClick) -> str:
    actor = services.settings.slack_people.get(click.user, "")
    decision = DecisionRequest(
        click.verb, evidence=click.evidence, step=click.step, reason=f"{click.verb} in Slack"
    )
    if click.verb is Verb.ABORT:
        return await send_abort(services, click.flag, decision, actor or f"slack:{click.user}")
    if not actor:
        raise CliError(f"Slack user {click.user} is not in SLUICE_SLACK_PEOPLE")
    state = await services.source.fetch_state(click.flag)
    command = await services.signer.vouch(state, decision.verb, decision.command(actor))
    return await send_signed(services, (click.flag, state), decision, command)
