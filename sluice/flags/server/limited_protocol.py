"""uvicorn's HTTP protocol with limits for the size and the time of a request's headers."""

import asyncio
import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES_MAX = 32 * 1024
HEADER_SECONDS = 10.0
"""Time between a request's first byte and the end of its headers."""
IDLE_SECONDS = 75.0
"""Time from the connection to the first byte; uvicorn's keep-alive limits later pauses."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """Protocol that answers 431 above ``HEADER_BYTES_MAX``, and 408 after ``HEADER_SECONDS``.

    httptools buffers an unfinished header line without a limit, and uvicorn waits for the end of
    the headers without a limit (slowloris).
    """

    _timer: asyncio.TimerHandle | None = None
    _in_headers = False
    _is_refused = False
    _header_bytes = 0
    _completed_in_chunk = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._completed_in_chunk = False
        super().data_received(data)
        if self._in_headers and not self._completed_in_chunk:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES_MAX:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._start_timer(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEADER_BYTES_MAX:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._completed_in_chunk = True
        if not self._is_refused:
            super().on_message_complete()

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(
            seconds, lambda: self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus) -> None:
        """Send the status and close; an answer under way is only cut off."""
        if self._is_refused or self.transport is None or self.transport.is_closing():
            return
        self._is_refused = True
        self._stop_timer()
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if not is_answering:
            self.transport.write(_response(status))
        self.transport.close()


def _response(status: HTTPStatus) -> bytes:
    limits = {
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"headers exceed {HEADER_BYTES_MAX} bytes",
        HTTPStatus.REQUEST_TIMEOUT: f"headers took longer than {HEADER_SECONDS:g} s",
    }
    body = json.dumps({"detail": limits[status]}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
