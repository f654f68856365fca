"""One decision: the evidence it binds to, a reason, a button. The page that notices link to."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from sluice.cli.errors import CliError
from sluice.console.feeds.rollout_feed import RolloutSnapshot
from sluice.console.login.oidc import LoginRejectedError
from sluice.console.pages.decision_sending import (
    DecisionRequest,
    require_same_step,
    send_abort,
    send_signed,
)
from sluice.console.pages.decision_view import SILENCE, decision_values, newest_evidence
from sluice.console.pages.rendering import (
    page_message,
    refusal_message,
    render_error,
    render_page,
)
from sluice.console.services import ConsoleServices, require_session, services_of
from sluice.console.web.forms import read_form, require_csrf_token, require_own_page
from sluice.console.web.sessions import Session
from sluice.identity.signing import new_nonce
from sluice.identity.statement import statement_of
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decision_context import command_context

router = APIRouter()
Text = Annotated[str, Query(max_length=200)]
EXPLANATIONS = {
    Verb.APPROVE: "Lets the next step start, on the readings shown here.",
    Verb.PROMOTE: "Skips the rest of the step's wait, or overrides readings. Never a red flag.",
    Verb.PAUSE: "Keeps the percentage; red flags stay active.",
    Verb.RESUME: "Goes on after a pause; stability starts again.",
    Verb.ROLLBACK: "Steps back to the step's rollback target.",
    Verb.RETRY: "Enters the step that was rolled back again, with a fresh clock.",
    Verb.ATTEST: "States that an item of the checklist is true.",
    Verb.ACKNOWLEDGE: "Silences a finding for a time. Never a P0.",
    Verb.AMEND: "Changes the running plan; only `sluice amend` can send one.",
    Verb.ABORT: "Ends the rollout at 0 %.",
}


@router.get("/rollouts/{flag}/decide/{verb}")
async def decision_page(
    request: Request, flag: str, verb: Verb, evidence: Text = "", item: Text = ""
) -> Response:
    """Show what a decision would bind to; without ``evidence``, the newest check."""
    session = require_session(request)
    snapshot = await services_of(request).feed.read(flag)
    decision = DecisionRequest(
        verb, evidence or newest_evidence(snapshot.state, verb), item, duration=SILENCE
    )
    return _render(request, session, snapshot, decision)


@router.post("/rollouts/{flag}/decide/{verb}")
async def decide(request: Request, flag: str, verb: Verb) -> Response:
    """Send the decision; refused ones show the reason and the newest evidence."""
    session, services = require_session(request), services_of(request)
    form = await _read_own_form(request, session)
    if not services.decisions.allow(session.id, services.monotonic()):
        return render_error(
            request, "Too many decisions", "Wait a second, then send it again.", 429
        )
    decision = _read_request(verb, form)
    try:
        text = await _send(services, flag, decision, (session, form))
    except CliError as error:
        snapshot = await services.feed.read(flag)
        return _render(request, session, snapshot, decision, problem=refusal_message(error))
    services.sessions.put_note(session.id, text)
    return RedirectResponse(f"/rollouts/{quote(flag, safe='')}", 303)


@router.post("/rollouts/{flag}/decide/{verb}/options")
async def begin_passkey_signature(request: Request, flag: str, verb: Verb) -> Response:
    """Return the statement of the decision and what the browser needs to sign it."""
    session, services = require_session(request), services_of(request)
    form = await _read_own_form(request, session)
    decision = _read_request(verb, form)
    try:
        state = await services.source.fetch_state(flag)
        require_same_step(state, decision)
    except CliError as error:
        return PlainTextResponse(page_message(error), 409)
    context = command_context(state, verb, decision.command(session.actor), services.now())
    statement = statement_of(context, new_nonce())
    return JSONResponse(services.passkeys.signing_options(session.actor, statement))


async def _read_own_form(request: Request, session: Session) -> dict[str, str]:
    require_own_page(request, services_of(request).settings.origin)
    form = await read_form(request)
    require_csrf_token(form, session)
    return form


def _read_request(verb: Verb, form: Mapping[str, str]) -> DecisionRequest:
    """Read the form; the lines of a reason become one line, as the timeline shows it."""
    names = ("evidence", "item", "target", "reason", "step", "duration")
    return DecisionRequest(verb, **{name: " ".join(form.get(name, "").split()) for name in names})


async def _send(
    services: ConsoleServices,
    flag: str,
    decision: DecisionRequest,
    login: tuple[Session, Mapping[str, str]],
) -> str:
    session, form = login
    if decision.verb is Verb.ACKNOWLEDGE and not decision.reason:
        raise CliError("an acknowledgement needs a reason: say why the finding may stay silent")
    if decision.verb is Verb.ABORT:
        return await send_abort(services, flag, decision, session.actor)
    command = decision.command(session.actor)
    state = await services.source.fetch_state(flag)
    if form.get("answer"):
        command = _with_passkey(services, command, form)
    elif services.signer.needs_passkey(decision.verb, session):
        raise CliError("this login signs with its passkey: use the button with the passkey")
    else:
        command = await services.signer.sign(state, decision.verb, command, session)
    return await send_signed(services, (flag, state), decision, command)


def _with_passkey(services: ConsoleServices, command: Command, form: Mapping[str, str]) -> Command:
    try:
        proof = services.passkeys.proof(
            command.actor, form.get("statement", ""), form.get("answer", "")
        )
    except LoginRejectedError as error:
        raise CliError(str(error)) from error
    return command.model_copy(update={"proof": proof})


def _render(
    request: Request,
    session: Session,
    snapshot: RolloutSnapshot,
    decision: DecisionRequest,
    problem: str = "",
) -> Response:
    values = {
        **decision_values(services_of(request), session, snapshot, decision),
        "explanation": EXPLANATIONS[decision.verb],
        "problem": problem,
    }
    return render_page(request, "decision.html", values, 409 if problem else 200)
