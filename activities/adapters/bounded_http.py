"""HTTP responses that end: within a time in total, and within a size.

A timeout of ``requests`` limits each wait for bytes, so a server that sends one byte a second holds
its thread for hours, and one that sends gigabytes fills the worker's memory.
"""

import time
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import HTTPResponse


class ResponseTooLargeError(requests.RequestException):
    """The body of a response is longer than its limit."""


class BoundedAdapter(HTTPAdapter):
    """Raise ``requests.ReadTimeout`` after ``seconds_max``, and ``ResponseTooLargeError``."""

    def __init__(self, seconds_max: float, bytes_max: int, **options: Any) -> None:
        self._seconds_max = seconds_max
        self._bytes_max = bytes_max
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send ``request``; the limits hold while the caller reads the body."""
        deadline = time.monotonic() + self._seconds_max
        response = super().send(request, **options)
        response.raw = _BoundedBody(response.raw, deadline, self._bytes_max)
        return response


class _BoundedBody:
    """The part of ``urllib3.HTTPResponse`` that ``requests`` reads a body through."""

    def __init__(self, raw: HTTPResponse, deadline: float, bytes_max: int) -> None:
        self._raw = raw
        self._deadline = deadline
        self._bytes_max = bytes_max

    def stream(self, amount: int, decode_content: bool | None = None) -> Iterator[bytes]:
        size = 0
        while chunk := self._read_part(amount, decode_content):
            size += len(chunk)
            if size > self._bytes_max:
                raise ResponseTooLargeError(f"the response exceeds {self._bytes_max} bytes")
            if time.monotonic() > self._deadline:
                raise requests.ReadTimeout("the response did not end in time")
            yield chunk

    def _read_part(self, amount: int, decode_content: bool | None) -> bytes:
        try:  # read() would wait until ``amount`` bytes are there
            return self._raw.read1(amount, decode_content=decode_content)
        except ReadTimeoutError as error:
            raise requests.ReadTimeout("the response stopped in its body") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
