"""Logging in: the choice of ways, the one-time link of this machine, OpenID Connect; logging out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from sluice.console.login.oidc import (
    ATTEMPT_LIFETIME,
    CALLBACK,
    LoginAttempt,
    LoginRejectedError,
)
from sluice.console.pages.rendering import render_error, render_page
from sluice.console.services import ConsoleServices, require_session, services_of
from sluice.console.web.forms import local_path, read_form, require_csrf_token, require_own_page
from sluice.console.web.sessions import LIFETIME, LoginKind

router = APIRouter()
LOCAL_ROLES = frozenset({"viewer", "operator", "approver"})
Next = Annotated[str, Query(alias="next", max_length=500)]


@router.get("/login")
async def login_page(request: Request, target: Next = "/") -> Response:
    """Say how to log in."""
    services = services_of(request)
    values = {
        "target": local_path(target),
        "has_oidc": services.oidc is not None,
        "has_passkeys": services.passkeys.are_offered,
        "has_link": bool(services.settings.local_actor),
    }
    return render_page(request, "login.html", values)


@router.get("/login/link")
async def login_by_link(
    request: Request, token: Annotated[str, Query(max_length=200)] = "", target: Next = "/"
) -> Response:
    """Log in with the link from the terminal; each works once."""
    services = services_of(request)
    if not may_try_login(services, request):
        return too_many_logins(request)
    if not services.settings.local_actor or not services.login_links.redeem(token):
        text = "Each link works once. Print a new one with `sluice console --link`."
        return render_error(request, "This login link is not valid", text, 403)
    return start_session(
        services, services.settings.local_actor, "link", LOCAL_ROLES, local_path(target)
    )


@router.get("/login/oidc")
async def login_by_oidc(request: Request, target: Next = "/") -> Response:
    """Send the browser to the OpenID provider."""
    services = services_of(request)
    if services.oidc is None:
        return render_error(request, "No provider", "SLUICE_OIDC_ISSUER is not set.", 404)
    if not may_try_login(services, request):
        return too_many_logins(request)
    attempt_id, attempt = services.attempts.begin(local_path(target), services.now())
    try:
        response = await services.oidc.redirect(request, attempt)
    except LoginRejectedError as error:
        return render_error(request, "Not logged in", str(error), 502)
    set_attempt_cookie(services, response, attempt_id)
    return response


@router.get(CALLBACK)
async def return_from_provider(request: Request) -> Response:
    """Log in with the provider's answer, if this browser has asked for it."""
    services = services_of(request)
    attempt = take_attempt(services, request)
    if services.oidc is None or attempt is None:
        text = "This login was not begun in this browser, or it took too long. Log in again."
        return render_error(request, "Not logged in", text, 403)
    try:
        person = await services.oidc.identify(request, attempt)
    except LoginRejectedError as error:
        return render_error(request, "Not logged in", str(error), 403)
    roles = frozenset(str(role) for role in person.roles)
    return start_session(services, person.name, "oidc", roles, attempt.target)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session here and in the browser."""
    session, services = require_session(request), services_of(request)
    require_own_page(request, services.settings.origin)
    require_csrf_token(await read_form(request), session)
    services.sessions.end(session.id)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(services.settings.cookie_name, secure=services.settings.is_https)
    return response


def start_session(
    services: ConsoleServices, actor: str, login: LoginKind, roles: frozenset[str], target: str
) -> Response:
    """Create a session with a new id, set its cookie, and go on to a page of ours."""
    session = services.sessions.create(actor, login, roles, services.now())
    response = RedirectResponse(target, 303)
    response.set_cookie(
        services.settings.cookie_name,
        session.id,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=services.settings.is_https,
        path="/",
    )
    return response


def may_try_login(services: ConsoleServices, request: Request) -> bool:
    client = request.client.host if request.client else ""
    return services.logins.allow(client, services.monotonic())


def too_many_logins(request: Request) -> Response:
    return render_error(request, "Too many logins", "Wait a minute, then try again.", 429)


def set_attempt_cookie(services: ConsoleServices, response: Response, attempt_id: str) -> None:
    """Bind a login under way to this browser."""
    response.set_cookie(
        f"{services.settings.cookie_name}-login",
        attempt_id,
        max_age=int(ATTEMPT_LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=services.settings.is_https,
        path="/",
    )


def take_attempt(services: ConsoleServices, request: Request) -> LoginAttempt | None:
    """Return the login that this browser has begun, once."""
    cookie = request.cookies.get(f"{services.settings.cookie_name}-login", "")
    return services.attempts.take(cookie, services.now())
