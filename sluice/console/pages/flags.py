"""Flags: what the store holds, and what each router process serves."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from sluice.console.pages.rendering import render_page
from sluice.console.services import require_session, services_of

router = APIRouter()


@router.get("/flags")
async def flags_page(request: Request) -> Response:
    """Show every flag, and each process beside it."""
    require_session(request)
    board = await services_of(request).flags.read()
    values = {
        "board": board,
        "problems": (board.problem,) if board.problem else (),
        "read_at": board.read_at,
    }
    return render_page(request, "flags.html", values)
