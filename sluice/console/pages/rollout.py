"""One rollout, live: the page, and the stream of its changed parts."""

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from sluice.console.feeds.rollout_feed import RolloutSnapshot
from sluice.console.pages.rendering import render_fragment, render_page
from sluice.console.pages.rollout_view import build_rollout_view
from sluice.console.services import ConsoleServices, require_session, services_of

router = APIRouter()
FRAGMENTS = ("summary", "before", "course", "gates", "timeline")
RETRY_MILLISECONDS = 1000
STREAMS_MAX = 200
"""Open streams of one session, far more than a person has pages."""


@router.get("/rollouts/{flag}")
async def rollout_page(request: Request, flag: str) -> Response:
    """Show one rollout as it is now."""
    require_session(request)
    services = services_of(request)
    snapshot = await services.feed.read(flag)
    values = {
        "flag": flag,
        "fragments": render_fragments(services, snapshot),
        "state": snapshot.state,
        "names_are_claims": not snapshot.state.decisions.has_keyring,
        "problems": snapshot.problems,
        "read_at": snapshot.read_at,
    }
    return render_page(request, "rollout.html", values)


@router.get("/rollouts/{flag}/events")
async def rollout_events(request: Request, flag: str) -> Response:
    """Stream the parts of the page that change, as server-sent events."""
    session = require_session(request)
    services = services_of(request)
    if services.streams[session.id] >= STREAMS_MAX:
        return Response(status_code=429, headers={"Retry-After": "60"})
    await services.feed.read(flag)
    headers = {"X-Accel-Buffering": "no"}
    stream = _counted_stream(services, flag, session.id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _counted_stream(
    services: ConsoleServices, flag: str, session_id: str
) -> AsyncIterator[str]:
    services.streams[session_id] += 1
    try:
        async for text in _stream(services, flag, session_id):
            yield text
    finally:
        services.streams[session_id] -= 1
        if not services.streams[session_id]:
            del services.streams[session_id]


async def _stream(services: ConsoleServices, flag: str, session_id: str) -> AsyncIterator[str]:
    """Yield the changed parts while the session lasts: a page that stays open ends with it."""
    sent_fragments: dict[str, str] = {}
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    async for snapshot in services.feed.follow(flag):
        if not services.sessions.is_live(session_id, services.now()):
            return
        current = render_fragments(services, snapshot)
        for name, html in current.items():
            if sent_fragments.get(name) != html:
                yield f"event: fragment\ndata: {json.dumps({'id': name, 'html': html})}\n\n"
        sent_fragments = current


def render_fragments(services: ConsoleServices, snapshot: RolloutSnapshot) -> dict[str, str]:
    """Render every live part; pages that show the same snapshot share the work."""
    cached = services.fragments.get(snapshot.state.plan.flag)
    if cached is not None and cached[0] is snapshot:
        return cached[1]
    view = build_rollout_view(snapshot, services.now())
    values = {"view": view, "names_are_claims": not snapshot.state.decisions.has_keyring}
    parts = {name: render_fragment(f"fragments/{name}.html", values) for name in FRAGMENTS}
    services.fragments[snapshot.state.plan.flag] = (snapshot, parts)
    return parts
