"""Rendering a page with what every page shows: who is logged in, and how to stop a rollout."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi.templating import Jinja2Templates
from starlette.requests import Request
from starlette.responses import HTMLResponse

from sluice.cli.errors import CliError, Exit
from sluice.console.services import make_templates, services_of

AWAY = (
    "A server behind this page does not answer. Try again in a minute: a decision that was just sent "
    "may still take effect. For operators: `sluice doctor` shows which server it is."
)
_logger = structlog.get_logger(__name__)
TEMPLATES: Jinja2Templates = make_templates()


def render_page(
    request: Request, template: str, values: Mapping[str, Any], status_code: int = 200
) -> HTMLResponse:
    """Render a whole page for the session of the request, which may be missing."""
    services = services_of(request)
    session = services.find_session(request)
    shared = {
        "session": session,
        "note": services.sessions.take_note(session.id) if session else "",
        "names_are_claims": services.settings.names_are_claims,
        "environment": services.settings.environment,
        "flag": None,
        "problems": (),
        "read_at": None,
    }
    return TEMPLATES.TemplateResponse(
        request, template, {**shared, **values}, status_code=status_code
    )


def render_fragment(template: str, values: Mapping[str, Any]) -> str:
    """Render a part of a page that is the same for everybody."""
    text: str = TEMPLATES.get_template(template).render(**values)
    return text


def render_error(request: Request, title: str, message: str, status_code: int) -> HTMLResponse:
    values = {"title": title, "message": message}
    return render_page(request, "error.html", values, status_code)


def page_message(error: CliError) -> str:
    """Return what a page may show of an error: messages about servers can hold addresses."""
    if error.code is not Exit.UNREACHABLE:
        return str(error)
    _logger.warning("server away", error=str(error))
    return AWAY


def refusal_message(error: CliError) -> str:
    """Return what a page may show of a decision that failed; without an answer, it may yet count."""
    is_certain = error.code is not Exit.UNREACHABLE
    return f"{'Nothing was decided: ' if is_certain else ''}{page_message(error)}"
