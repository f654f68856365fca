"""The console's application: routes, assets, and what happens to a request without a session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from sluice.cli.errors import CliError, Exit
from sluice.console.feeds.rollout_record import LedgerAwayError
from sluice.console.pages import (
    decision,
    flags,
    login,
    passkeys,
    record,
    rollout,
    rollouts,
    slack,
    stop,
)
from sluice.console.pages.rendering import page_message, render_error
from sluice.console.services import ConsoleServices, LoginRequiredError
from sluice.console.web.forms import FormRejectedError
from sluice.console.web.security_headers import SecurityHeaders

STATIC = Path(__file__).with_name("static")


def create_app(services: ConsoleServices) -> FastAPI:
    """Build the application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await services.close()

    app = FastAPI(
        title="Sluice console",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    app.state.services = services
    for page in (rollouts, rollout, record, decision, stop, flags, login, passkeys, slack):
        app.include_router(page.router)
    app.add_api_route("/healthz", _healthz)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(LoginRequiredError, _ask_to_log_in)
    app.add_exception_handler(FormRejectedError, _refuse_form)
    app.add_exception_handler(CliError, _show_command_error)
    app.add_middleware(SecurityHeaders)
    return app


async def _healthz() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


async def _ask_to_log_in(request: Request, error: Exception) -> Response:
    if request.method != "GET" or request.url.path.endswith("/events"):
        return PlainTextResponse("log in first\n", 401)
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(target, safe='')}", 303)


async def _refuse_form(request: Request, error: Exception) -> Response:
    return render_error(request, "Nothing was sent", str(error), 403)


async def _show_command_error(request: Request, error: Exception) -> Response:
    """Show what is wrong; addresses of servers, which such errors may hold, stay in the log."""
    assert isinstance(error, CliError)  # noqa: S101  registered for it alone
    if error.code is Exit.NOT_FOUND:
        return render_error(request, "Not found", str(error), 404)
    if error.code is Exit.UNREACHABLE or isinstance(error, LedgerAwayError):
        return render_error(request, "Not reachable", page_message(error), 503)
    return render_error(request, "Not possible", page_message(error), 400)
