"""The start page: all rollouts."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from sluice.console.feeds.rollout_list import filter_rows
from sluice.console.pages.rendering import render_page
from sluice.console.services import require_session, services_of
from sluice.rollout.engine.state import Status

router = APIRouter()
SearchText = Annotated[str, Query(max_length=100)]


@router.get("/")
async def rollouts_page(
    request: Request, search: SearchText = "", status: SearchText = ""
) -> Response:
    """Show all rollouts, newest first, filtered by text and status."""
    require_session(request)
    overview = await services_of(request).rollouts.read()
    values = {
        "rows": filter_rows(overview.rows, search, status),
        "total": len(overview.rows),
        "search": search,
        "status": status,
        "statuses": tuple(Status),
        "problems": (overview.problem,) if overview.problem else (),
        "read_at": overview.read_at,
    }
    return render_page(request, "rollouts.html", values)
