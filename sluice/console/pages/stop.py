"""Stopping: abort and kill, at most two clicks from every page, without any proof."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from sluice.cli.errors import CliError
from sluice.console.pages.rendering import page_message, render_error, render_page
from sluice.console.services import require_session, services_of
from sluice.console.web.forms import read_form, require_csrf_token, require_own_page

router = APIRouter()


@router.get("/stop")
async def stop_page(request: Request, flag: str = "") -> Response:
    """Show the buttons that take traffic away: of one flag, or of all that could have any."""
    require_session(request)
    services = services_of(request)
    overview, board = await services.rollouts.read(), await services.flags.read()
    running = {row.flag: row for row in overview.rows if row.is_running}
    names = sorted({*running, *(state.name for state in board.flags)})
    values = {
        "flag": flag or None,
        "names": [flag] if flag else names,
        "running": running,
        "killed": {state.name for state in board.flags if state.killed},
        "problems": [text for text in (overview.problem, board.problem) if text],
        "read_at": board.read_at,
    }
    return render_page(request, "stop.html", values)


@router.post("/flags/{flag}/kill")
async def kill(request: Request, flag: str) -> Response:
    """Set the kill latch; needs only Redis."""
    session, services = require_session(request), services_of(request)
    require_own_page(request, services.settings.origin)
    form = await read_form(request)
    require_csrf_token(form, session)
    try:
        await services.flags.kill(flag, session.actor, form.get("reason") or "kill")
    except CliError as error:
        return render_error(request, f"{flag} was not killed", page_message(error), 502)
    services.sessions.put_note(session.id, f"{flag} is killed: 0 % for everyone")
    return RedirectResponse("/flags", 303)
