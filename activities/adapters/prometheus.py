"""The metrics port on Prometheus, through prometheus-api-client."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from activities.adapters.bounded_http import BoundedAdapter, ResponseTooLargeError
from activities.adapters.prometheus_credentials import (
    NO_CREDENTIALS,
    PrometheusCredentials,
    require_prometheus_url,
)
from activities.contract.errors import (
    MetricsQueryError,
    MetricsTimedOutError,
    MetricsUnreachableError,
)
from activities.contract.ports import BatchAnswer
from sluice.rollout.printable import escape_line

_NUMBER_LABEL = "sluice_query"
"""Label that marks each series of a union with the number of its expression."""
CONNECT_SECONDS_MAX = 1.0
READ_SECONDS_MAX = 4.0
CONNECTIONS_MAX = 16
# One value needs 200 bytes; a batch has 60 of them.
ANSWER_MIB_MAX = 4
_REFUSED_STATUSES = (400, 422)
_ERROR_STATUS_MIN = 400


class PrometheusMetrics:
    """One Prometheus server. Thread-safe. Each query ends within 9 s and is never retried here.

    Raises:
        ValueError: when ``url`` is not an http(s) address.
    """

    def __init__(self, url: str, credentials: PrometheusCredentials = NO_CREDENTIALS) -> None:
        self.url = require_prometheus_url(url)
        self._session = _open_session(credentials)
        self._session.hooks["response"].append(self._raise_for_status)
        timeout: Any = (CONNECT_SECONDS_MAX, READ_SECONDS_MAX)  # annotated int, passed to requests
        self._client = PrometheusConnect(self.url, session=self._session, timeout=timeout)
        # The constructor mounts an adapter that turns 1 s into 10 s of retries: replace it.
        adapter = BoundedAdapter(
            CONNECT_SECONDS_MAX + READ_SECONDS_MAX,
            ANSWER_MIB_MAX << 20,
            CONNECTIONS_MAX,
        )
        self._session.mount(self.url, adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections."""
        self._session.close()

    def query(self, promql: str, at: datetime) -> float | None:
        """Evaluate at ``at`` (with a time zone); None is *no data* (empty, NaN, infinite).

        Raises:
            MetricsUnreachableError: transient: connection, timeout, any status but 400 and 422.
            MetricsQueryError: permanent: refused query, or not exactly one value.
        """
        with self._connection_errors():
            result = self._client.custom_query(promql, params=_parameters(at))
            return _single_value(promql, result)

    def query_many(self, promqls: Sequence[str], at: datetime) -> list[BatchAnswer]:
        """Evaluate several instant vectors in one request; see ``query`` for each answer.

        Raises:
            MetricsUnreachableError: as ``query``.
            MetricsQueryError: Prometheus refuses one of them: ask each by itself.
        """
        form = {"query": _union_query(promqls), **_parameters(at)}
        timeout = (CONNECT_SECONDS_MAX, READ_SECONDS_MAX)
        with self._connection_errors():
            # The client library would put the query into the address, which proxies limit.
            reply = self._session.post(f"{self.url}/api/v1/query", data=form, timeout=timeout)
            series = _split_union(len(promqls), reply.json()["data"]["result"])
            return [
                _batch_answer(*query_series) for query_series in zip(promqls, series, strict=True)
            ]

    @contextmanager
    def _connection_errors(self) -> Iterator[None]:
        try:
            yield
        except requests.ReadTimeout as error:
            raise MetricsTimedOutError(self._problem(_reason(error))) from error
        except ResponseTooLargeError as error:
            raise MetricsQueryError(
                f"Prometheus' answer exceeds {ANSWER_MIB_MAX} MiB; aggregate the query to one "
                "value, for example with sum()"
            ) from error
        except requests.RequestException as error:
            raise self._unreachable_error(_reason(error)) from error
        except (PrometheusApiClientException, LookupError, TypeError, ValueError) as error:
            raise self._unreachable_error("it doesn't answer as Prometheus does") from error

    def _raise_for_status(
        self, response: requests.Response, *_args: object, **_options: object
    ) -> None:
        # Here and not after the call: the client keeps only the text of a refusal.
        if response.status_code < _ERROR_STATUS_MIN:
            if warnings := _warnings(response):
                raise self._unreachable_error(f"its answer is partial: {warnings}")
            return
        with response:  # gives the connection back: nobody else will, after an exception
            if response.status_code in _REFUSED_STATUSES:
                raise MetricsQueryError(
                    f"Prometheus refuses the query: {_refusal_message(response)}"
                )
            raise self._unreachable_error(f"HTTP status {response.status_code}")

    def _unreachable_error(self, reason: str) -> MetricsUnreachableError:
        return MetricsUnreachableError(self._problem(reason))

    def _problem(self, reason: str) -> str:
        return f"Prometheus at {self.url} can't be asked: {reason}"


def _parameters(at: datetime) -> dict[str, str]:
    if at.tzinfo is None:
        raise MetricsQueryError("the time of a measurement needs a time zone")
    return {"time": f"{at.timestamp():.3f}", "timeout": f"{READ_SECONDS_MAX:g}s"}


def _open_session(credentials: PrometheusCredentials) -> requests.Session:
    session = requests.Session()
    session.headers.update(credentials.headers)
    if "Authorization" in credentials.headers:
        session.auth = _keep_request  # without it, an entry of ~/.netrc would replace the header
    session.verify = credentials.ca_file or True
    session.cert = credentials.client_certificate
    return session


def _keep_request(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _warnings(response: requests.Response) -> str:
    """Return the warnings of an answer: Thanos and Mimir give them with a part of the series."""
    try:
        warnings = response.json().get("warnings") or ()
        return escape_line("; ".join(str(warning) for warning in warnings))
    except (requests.JSONDecodeError, AttributeError, TypeError):
        return ""  # the client reports what is not an answer of Prometheus


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS_MAX:g} s"
    if isinstance(error, requests.Timeout):
        return f"no answer within {READ_SECONDS_MAX:g} s"
    if isinstance(error, requests.ConnectionError):
        return "connection refused or lost"
    if isinstance(error, requests.JSONDecodeError):
        return "it doesn't answer as Prometheus does"
    return type(error).__name__


def _refusal_message(response: requests.Response) -> str:
    try:
        return escape_line(str(response.json()["error"]))
    except (requests.JSONDecodeError, KeyError, TypeError):
        return f"HTTP status {response.status_code}"


def _batch_answer(promql: str, result: list[Any]) -> BatchAnswer:
    try:
        return _single_value(promql, result)
    except MetricsQueryError as error:
        return error


def _single_value(promql: str, result: list[Any]) -> float | None:
    if not result:
        return None
    if not isinstance(result[0], dict):  # a scalar is [time, "value"]
        return _parse_finite(promql, result[1])
    if len(result) > 1:
        raise MetricsQueryError(
            f"{promql!r} gives {len(result)} series; aggregate it to one, for example with sum()"
        )
    if "value" not in result[0]:
        raise MetricsQueryError(f"{promql!r} gives a range or a histogram; it must give one value")
    return _parse_finite(promql, result[0]["value"][1])


def _parse_finite(promql: str, text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        raise MetricsQueryError(f"{promql!r} gives the text {text!r}, not a number") from None
    return value if math.isfinite(value) else None


def _union_query(promqls: Sequence[str]) -> str:
    """Return one expression with the series of all of them. Each must give an instant vector."""
    # A line break ends a comment, with which an expression may end.
    return " or ".join(
        f'label_replace(({promql}\n), "{_NUMBER_LABEL}", "{number}", "", "")'
        for number, promql in enumerate(promqls)
    )


def _split_union(count: int, result: Sequence[Any]) -> list[list[Any]]:
    """Return the series of each expression, in the order of ``_union_query``.

    Raises:
        KeyError, ValueError, IndexError: the result is not one of a union.
    """
    series: list[list[Any]] = [[] for _ in range(count)]
    for entry in result:
        series[int(entry["metric"][_NUMBER_LABEL])].append(entry)
    return series
