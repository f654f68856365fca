"""Logging in by the one-time link of this machine, and logging out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

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
    return render_page(request, "login.html", {"target": local_path(target)})


@router.get("/login/link")
async def login_by_link(
    request: Request, token: Annotated[str, Query(max_length=200)] = "", target: Next = "/"
) -> Response:
    """Log in with the link from the terminal; each works once."""
    services = services_of(request)
    client = request.client.host if request.client else ""
    if not services.logins.allow(client, services.monotonic()):
        return render_error(request, "Too many logins", "Wait a minute, then try again.", 429)
    if not services.settings.local_actor or not services.login_links.redeem(token):
        text = "Each link works once. Print a new one with `sluice console --link`."
        return render_error(request, "This login link is not valid", text, 403)
    return start_session(
        services, services.settings.local_actor, "link", LOCAL_ROLES, local_path(target)
    )


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
