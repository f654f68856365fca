"""The flags server's process: uvicorn, which ends open event streams when it stops."""

from __future__ import annotations

import socket

import uvicorn
from starlette.applications import Starlette

from sluice.flags.server.event_stream import RevisionFeed
from sluice.flags.server.limited_protocol import LimitedHttpProtocol

GRACEFUL_SECONDS = 5
KEEP_ALIVE_SECONDS = 60
"""A client that fetches after an event should not have to connect first."""


def run_server(app: Starlette, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=LimitedHttpProtocol,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    _Server(config, app.state.feed).run()


class _Server(uvicorn.Server):
    """A server that does not wait for streams: they last as long as their clients."""

    def __init__(self, config: uvicorn.Config, feed: RevisionFeed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.close()
        await super().shutdown(sockets)
