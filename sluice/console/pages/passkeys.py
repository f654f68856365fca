"""Passkeys: logging in with one, and adding or removing one's own.

Each ceremony is two posts: the first begins an attempt and returns its challenge, the second
brings the browser's answer.
"""

import secrets
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from sluice.console.login.oidc import LoginRejectedError
from sluice.console.pages.login import (
    may_try_login,
    set_attempt_cookie,
    start_session,
    take_attempt,
    too_many_logins,
)
from sluice.console.pages.rendering import render_error, render_page
from sluice.console.services import ConsoleServices, require_session, services_of
from sluice.console.web.forms import local_path, read_form, require_csrf_token, require_own_page

router = APIRouter()
CHALLENGE_BYTES = 32
LOGIN_CHALLENGE, ENROLMENT_CHALLENGE = "login_challenge", "enrolment_challenge"
EXPIRED = "The page was open for too long. Try again."


@router.post("/login/passkey/options")
async def begin_login(request: Request) -> Response:
    """Return the challenge of a login."""
    services = services_of(request)
    require_own_page(request, services.settings.origin)
    form = await read_form(request)
    if not may_try_login(services, request):
        return too_many_logins(request)
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    options = services.passkeys.login_options(challenge)
    target = local_path(form.get("next", "/"))
    return _begin(services, target, {LOGIN_CHALLENGE: challenge}, options)


@router.post("/login/passkey")
async def log_in(request: Request) -> Response:
    """Log in the person whose passkey has answered."""
    services = services_of(request)
    require_own_page(request, services.settings.origin)
    form, attempt = await read_form(request), take_attempt(services, request)
    if attempt is None or LOGIN_CHALLENGE not in attempt.values:
        return render_error(request, "Not logged in", EXPIRED, 403)
    try:
        actor = services.passkeys.log_in(form.get("answer", ""), attempt.values[LOGIN_CHALLENGE])
    except LoginRejectedError as error:
        return render_error(request, "Not logged in", str(error), 403)
    return start_session(services, actor, "passkey", frozenset(), attempt.target)


@router.get("/passkeys")
async def passkeys_page(request: Request) -> Response:
    """Show the session's own passkeys with their lines for the keyring."""
    session, services = require_session(request), services_of(request)
    values = {
        "passkeys": services.passkeys.file.of(session.actor),
        "are_offered": services.passkeys.are_offered,
    }
    return render_page(request, "passkeys.html", values)


@router.post("/passkeys/options")
async def begin_enrolment(request: Request) -> Response:
    """Return the challenge of a new passkey."""
    session, services = require_session(request), services_of(request)
    require_own_page(request, services.settings.origin)
    require_csrf_token(await read_form(request), session)
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    options = services.passkeys.enrolment_options(session.actor, challenge)
    values = {ENROLMENT_CHALLENGE: challenge, "session": session.id}
    return _begin(services, "/passkeys", values, options)


@router.post("/passkeys")
async def enrol(request: Request) -> Response:
    """Keep the new passkey of the session's person."""
    session, services = require_session(request), services_of(request)
    require_own_page(request, services.settings.origin)
    form = await read_form(request)
    require_csrf_token(form, session)
    attempt = take_attempt(services, request)
    if attempt is None or attempt.values.get("session") != session.id:
        return render_error(request, "The passkey was not added", EXPIRED, 403)
    try:
        added = services.passkeys.enrol(
            session.actor, form.get("answer", ""), attempt.values[ENROLMENT_CHALLENGE]
        )
    except LoginRejectedError as error:
        return render_error(request, "The passkey was not added", str(error), 403)
    services.sessions.put_note(session.id, f"Passkey {added.fingerprint} is added")
    return RedirectResponse("/passkeys", 303)


@router.post("/passkeys/remove")
async def remove(request: Request) -> Response:
    """Forget one of the session's own passkeys."""
    session, services = require_session(request), services_of(request)
    require_own_page(request, services.settings.origin)
    form = await read_form(request)
    require_csrf_token(form, session)
    services.passkeys.file.remove(session.actor, form.get("credential", ""))
    services.sessions.put_note(session.id, "The passkey is removed from this console")
    return RedirectResponse("/passkeys", 303)


def _begin(
    services: ConsoleServices, target: str, values: dict[str, Any], options: dict[str, Any]
) -> Response:
    attempt_id, attempt = services.attempts.begin(target, services.now())
    attempt.values.update(values)
    response = JSONResponse({"publicKey": options})
    set_attempt_cookie(services, response, attempt_id)
    return response
