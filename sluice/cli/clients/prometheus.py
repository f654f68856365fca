"""Prometheus as the command line asks it: whole answers, or an error that says why."""

from typing import Any

import httpx

from sluice.cli.context import Context
from sluice.cli.output import without_password

ANSWER_SECONDS_MAX = 6.0
_REFUSED_STATUSES = (400, 422)


class PrometheusUnreachableError(Exception):
    """Prometheus gave no answer to a query; the message says why."""


def open_prometheus(context: Context, seconds_max: float = ANSWER_SECONDS_MAX) -> httpx.AsyncClient:
    """Return a client with the credentials of the context.

    Raises:
        PrometheusUnreachableError: PROMETHEUS_URL is not a URL.
        CliError: a credential can't be used.
    """
    credentials = context.prometheus_credentials()
    try:
        return httpx.AsyncClient(
            base_url=context.prometheus_url,
            timeout=seconds_max,
            headers=credentials.headers,
            verify=credentials.ssl_context(),
            trust_env=False,
        )
    except httpx.InvalidURL as error:
        raise PrometheusUnreachableError(f"PROMETHEUS_URL is not a URL: {error}") from error


async def read_answer(http: httpx.AsyncClient, path: str, **parameters: str) -> dict[str, Any]:
    """Return the JSON that Prometheus answers, also to a query that it refuses.

    Raises:
        PrometheusUnreachableError: it does not answer as Prometheus does, or gives a part only.
    """
    try:
        reply = await http.get(f"/api/v1/{path}", params=parameters)
        if reply.status_code not in _REFUSED_STATUSES:
            reply.raise_for_status()
        answer = reply.json()
    except httpx.HTTPStatusError as error:
        raise PrometheusUnreachableError(f"HTTP {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PrometheusUnreachableError(f"{error}" or repr(error)) from error
    except ValueError as error:
        raise PrometheusUnreachableError(_unlike_prometheus(http)) from error
    if not isinstance(answer, dict) or "status" not in answer:
        raise PrometheusUnreachableError(_unlike_prometheus(http))
    if warnings := answer.get("warnings"):
        raise PrometheusUnreachableError(f"its answer is partial: {'; '.join(warnings)}")
    return answer


def _unlike_prometheus(http: httpx.AsyncClient) -> str:
    return f"{without_password(str(http.base_url))} does not answer as Prometheus does"


async def read_data(http: httpx.AsyncClient, path: str, **parameters: str) -> Any:  # noqa: ANN401  JSON
    """Return the data of an answer.

    Raises:
        PrometheusUnreachableError: also when Prometheus refuses the query.
    """
    answer = await read_answer(http, path, **parameters)
    if answer["status"] != "success" or "data" not in answer:
        raise PrometheusUnreachableError(
            f"it refuses the query: {answer.get('error', 'no reason')}"
        )
    return answer["data"]


async def query_prometheus(http: httpx.AsyncClient, promql: str, **parameters: str) -> list[Any]:
    """Return the result of an instant query, at Prometheus' own time unless ``time`` is given.

    Raises:
        PrometheusUnreachableError: as ``read_data``, or the list of results is missing.
    """
    data = await read_data(http, "query", query=promql, **parameters)
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, list):
        raise PrometheusUnreachableError(_unlike_prometheus(http))
    return result


async def ask_prometheus(context: Context, promql: str) -> list[Any]:
    """Return the result of one instant query; raise as ``query_prometheus`` and ``open_prometheus``."""
    async with open_prometheus(context) as http:
        return await query_prometheus(http, promql)
