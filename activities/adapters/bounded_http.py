"""HTTP responses that end: within a time in total, and within a size.

A timeout of ``requests`` limits each wait for bytes, so a server that sends one byte a second holds
its thread for hours, and one that sends gigabytes fills the worker's memory.
"""

import time
from collections.abc import Iterator, Mapping

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import HTTPResponse
from urllib3.util.retry import Retry


class ResponseTooLargeError(requests.RequestException):
    """The body of a response is longer than its limit."""


class BoundedAdapter(HTTPAdapter):
    """Raise ``requests.ReadTimeout`` after ``seconds_max``, and ``ResponseTooLargeError``."""

    def __init__(self, seconds_max: float, bytes_max: int, connections_max: int) -> None:
        self._seconds_max = seconds_max
        self._bytes_max = bytes_max
        # read=False: a timeout is raised as one, not as a lost connection after zero retries.
        super().__init__(max_retries=Retry(total=0, read=False), pool_maxsize=connections_max)

    def send(  # noqa: PLR0913, PLR0917  the signature of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send ``request`` once; the limits hold while the caller reads the body."""
        deadline = time.monotonic() + self._seconds_max
        response = super().send(request, stream, timeout, verify, cert, proxies)
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

    def close(self) -> None:
        self._raw.close()

    def release_conn(self) -> None:
        self._raw.release_conn()
