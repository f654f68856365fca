"""Range queries on a Prometheus: columns of readings, several expressions per request."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
from pydantic_core import from_json

from activities.adapters.prometheus_credentials import NO_CREDENTIALS, PrometheusCredentials
from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.errors import PrometheusFailedError
from sluice.rehearsal.prometheus.remote_write import HEADERS, SeriesKey, encode_write_requests

POINTS_MAX = 10_000
"""Prometheus refuses more than 11,000 points of a series in one answer."""
QUERIES_PER_REQUEST_MAX = 12
"""Expressions per request: one more expression costs less than one more request."""
TICKS_PER_WRITE = 360
"""Ticks per write. Larger writes take Prometheus twice as long, because its buffers must grow, and
a read checks every sample of a series' last write."""
_QUERY_LABEL = "sluice_number"
_FIRST_ERROR = 400


@contextmanager
def open_client(
    url: str,
    timeout_seconds: float = 60.0,
    credentials: PrometheusCredentials = NO_CREDENTIALS,
) -> Iterator["PrometheusClient"]:
    """Open a client of the Prometheus at ``url``; close it at the end."""
    ranges = PrometheusClient(url, timeout_seconds, credentials)
    try:
        yield ranges
    finally:
        ranges.close()


class PrometheusClient:
    """Client for range queries and remote write; every value comes from the PromQL engine."""

    def __init__(
        self,
        url: str,
        timeout_seconds: float = 60.0,
        credentials: PrometheusCredentials = NO_CREDENTIALS,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            timeout=timeout_seconds,
            headers=credentials.headers,
            verify=credentials.ssl_context() if self.url.startswith("https") else True,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def write(self, seconds: Floats, series: Mapping[SeriesKey, Floats]) -> None:
        """Append samples; each series in ascending time.

        Raises:
            PrometheusFailedError: it refuses them or does not answer.
        """
        for body in encode_write_requests(seconds, series, TICKS_PER_WRITE):
            answer = self._send("POST", "/api/v1/write", content=body, headers=HEADERS)
            if answer.is_error:
                raise PrometheusFailedError(f"Prometheus refuses samples: {answer.text.strip()}")

    def read(self, promql: str, times: Floats, step: float) -> Floats:
        """Return values at ``times`` (epoch seconds, ``step`` apart); NaN means no data.

        Raises:
            PrometheusFailedError: the query is refused, or gives more than one series.
        """
        parts = [
            self._read_chunk((promql,), times[start : start + POINTS_MAX], step)[0]
            for start in range(0, len(times), POINTS_MAX)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def read_columns(self, promqls: Sequence[str], times: Floats, step: float) -> list[Floats]:
        """Return the values of several expressions, in as few requests as possible."""
        columns: list[Floats] = []
        for start in range(0, len(promqls), QUERIES_PER_REQUEST_MAX):
            chunk = promqls[start : start + QUERIES_PER_REQUEST_MAX]
            parts = [
                self._read_chunk(chunk, times[first : first + POINTS_MAX], step)
                for first in range(0, len(times), POINTS_MAX)
            ]
            columns += [np.concatenate(column) for column in zip(*parts, strict=True)]
        return columns or [np.zeros(0) for _ in promqls]

    def value(self, promql: str, at: float) -> float | None:
        """Return one value at one time, or None without data. Errors are those of ``read``."""
        value = float(self.read(promql, np.array([at]), 1.0)[0])
        return None if np.isnan(value) else value

    def get_metadata(self, path: str, **params: object) -> Any:  # noqa: ANN401  any JSON
        """Return the data of another endpoint such as ``labels``, or None.

        Raises:
            PrometheusFailedError: it does not answer.
        """
        answer = self._send("GET", f"/api/v1/{path}", params=params)
        try:
            return answer.json()["data"] if answer.is_success else None
        except (ValueError, KeyError, TypeError):
            return None

    def _read_chunk(self, promqls: Sequence[str], times: Floats, step: float) -> list[Floats]:
        query = promqls[0] if len(promqls) == 1 else _combine_queries(promqls)
        columns = [np.full(len(times), np.nan) for _ in promqls]
        series_counts = [0] * len(promqls)
        for series in self._query_range(query, times, step):
            number = int(series["metric"].get(_QUERY_LABEL, 0))
            series_counts[number] += 1
            index = np.array([at for at, _ in series["values"]])
            index = np.round((index - times[0]) / step).astype(np.int64)
            columns[number][index] = [float(value) for _, value in series["values"]]
        for promql, count in zip(promqls, series_counts, strict=True):
            if count > 1:
                raise PrometheusFailedError(f"{promql!r} gives {count} series; aggregate to one")
        return [np.where(np.isfinite(column), column, np.nan) for column in columns]

    def _query_range(self, query: str, times: Floats, step: float) -> list[dict[str, Any]]:
        span = {"start": f"{times[0]:.3f}", "end": f"{times[-1]:.3f}", "step": f"{step:g}"}
        answer = self._send("POST", "/api/v1/query_range", data={"query": query, **span})
        if answer.is_error:
            raise PrometheusFailedError(f"Prometheus refuses {query!r}: {_error_message(answer)}")
        try:
            series: list[dict[str, Any]] = from_json(answer.content)["data"]["result"]
        except (ValueError, KeyError, TypeError):
            raise PrometheusFailedError(
                f"{self.url} does not answer like Prometheus; check the address"
            ) from None
        return series

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401  httpx's own
        try:
            return self._http.request(method, path, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PrometheusFailedError(
                f"Prometheus at {self.url} cannot be reached: {error or type(error).__name__}"
            ) from error


def _combine_queries(promqls: Sequence[str]) -> str:
    """Combine the queries in one expression, each with a label of its number."""
    return " or ".join(
        f'label_replace({promql}, "{_QUERY_LABEL}", "{number}", "", "")'
        for number, promql in enumerate(promqls)
    )


def _error_message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {answer.status_code}"
