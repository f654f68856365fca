"""The traps of Prometheus and of its client library, on the real ones."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from activities.adapters.prometheus import PrometheusMetrics
from activities.adapters.prometheus_credentials import PrometheusCredentials
from activities.contract.errors import (
    MetricsQueryError,
    MetricsTimedOutError,
    MetricsUnreachableError,
)
from sluice.rollout.analysis.promql import complete_absence, sample_age_query

pytestmark = pytest.mark.integration
AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.fixture
def prometheus(prometheus_url: str) -> Iterator[PrometheusMetrics]:
    with PrometheusMetrics(f"{prometheus_url}/") as metrics:
        yield metrics


def test_evaluates_at_the_time_passed_in_to_the_millisecond(prometheus: PrometheusMetrics) -> None:
    assert prometheus.query("vector(time())", AT) == pytest.approx(AT.timestamp(), abs=1e-4)


def test_a_scalar_is_a_value(prometheus: PrometheusMetrics) -> None:
    assert prometheus.query("1 + 1", AT) == 2


@pytest.mark.parametrize(
    ("promql", "why"),
    [
        ("sum(", "parse error"),  # HTTP 400
        ('label_replace(vector(1), "", "", "", "")', "label"),  # HTTP 422
        ('label_replace(vector(1), "a", "b", "", "") or vector(2)', "2 series"),
        ("vector(1)[5m:1m]", "one value"),
        ('"text"', "not a number"),
    ],
)
def test_a_query_that_never_gives_one_number_is_permanent(
    prometheus: PrometheusMetrics, promql: str, why: str
) -> None:
    with pytest.raises(MetricsQueryError, match=why):
        prometheus.query(promql, AT)


def test_a_time_without_zone_is_refused(prometheus: PrometheusMetrics) -> None:
    with pytest.raises(MetricsQueryError, match="time zone"):
        prometheus.query("vector(1)", AT.replace(tzinfo=None))


def test_one_session_serves_many_threads(prometheus: PrometheusMetrics) -> None:
    values: list[float | None] = []
    threads = [
        threading.Thread(target=lambda n=n: values.append(prometheus.query(f"vector({n})", AT)))
        for n in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(value for value in values if value is not None) == list(range(40))


@contextmanager
def running_stub(
    status: int, body: bytes, wait_seconds: float = 0.0, drip_seconds: float = 0.0
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(wait_seconds)
            with suppress(ConnectionError):  # the client went away, which is the point
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                step = 1 if drip_seconds else max(1, len(body))
                for start in range(0, len(body), step):
                    self.wfile.write(body[start : start + step])
                    time.sleep(drip_seconds)

        def log_message(self, *_: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (503, b"busy"),
        (401, b"who?"),
        (404, b"not here"),
        (200, b"<html>a proxy</html>"),
        (200, b'{"status": "success"}'),
        (200, b'{"data": {"result": [{"metric": {}, "value": [1, null]}]}}'),
        (200, b'{"data": {"result": [{"metric": {}, "value": []}]}}'),
        (204, b""),
    ],
)
def test_any_other_answer_is_transient(status: int, body: bytes) -> None:
    unreachable = pytest.raises(MetricsUnreachableError, match="can't be asked")
    with running_stub(status, body) as url, PrometheusMetrics(url) as metrics, unreachable:
        metrics.query("vector(1)", AT)


def test_a_refused_connection_is_known_at_once(unused_tcp_port: int) -> None:
    started = time.monotonic()
    refused = pytest.raises(MetricsUnreachableError, match="connection refused or lost")
    with PrometheusMetrics(f"http://127.0.0.1:{unused_tcp_port}") as metrics, refused:
        metrics.query("vector(1)", AT)
    assert time.monotonic() - started < 1


def test_a_hung_server_costs_one_timeout_not_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.adapters.prometheus.READ_SECONDS_MAX", 0.3)
    with running_stub(200, b"{}", wait_seconds=1.0) as url, PrometheusMetrics(url) as metrics:
        started = time.monotonic()
        with pytest.raises(MetricsUnreachableError, match="no answer within"):
            metrics.query("vector(1)", AT)
        assert time.monotonic() - started < 0.9


def test_a_body_that_drips_ends_with_the_time_of_a_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte in time, and the whole never: it held a thread for hours."""
    monkeypatch.setattr("activities.adapters.prometheus.READ_SECONDS_MAX", 0.2)
    monkeypatch.setattr("activities.adapters.prometheus.CONNECT_SECONDS_MAX", 0.1)
    with running_stub(200, b" " * 200, drip_seconds=0.05) as url, PrometheusMetrics(url) as metrics:
        started = time.monotonic()
        with pytest.raises(MetricsTimedOutError, match="no answer within"):
            metrics.query("vector(1)", AT)
        assert time.monotonic() - started < 1.5


def test_an_answer_of_many_megabytes_is_the_query_s_mistake() -> None:
    """A selector without sum() on a large Prometheus took gigabytes of the worker's memory."""
    series = b'{"metric": {}, "value": [1, "1"]},' * 150_000
    with (
        running_stub(200, b'{"data": {"result": [' + series) as url,
        PrometheusMetrics(url) as metrics,
        pytest.raises(MetricsQueryError, match="4 MiB"),
    ):
        metrics.query("up", AT)


@pytest.mark.parametrize("url", ["", "localhost:9090", "ftp://localhost"])
def test_an_address_that_cannot_be_is_refused_at_start(url: str) -> None:
    with pytest.raises(ValueError, match="PROMETHEUS_URL"):
        PrometheusMetrics(url)


@contextmanager
def running_guarded_stub(seen: list[Mapping[str, str]]) -> Iterator[str]:
    """Answer like Prometheus, and note the headers of each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            body = b'{"status":"success","data":{"resultType":"scalar","result":[0,"1"]}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("variables", "header", "value"),
    [
        ({"PROMETHEUS_TOKEN": "s3cret"}, "Authorization", "Bearer s3cret"),
        (
            {"PROMETHEUS_USERNAME": "me", "PROMETHEUS_PASSWORD": "s3cret"},
            "Authorization",
            "Basic bWU6czNjcmV0",
        ),
        ({"PROMETHEUS_HEADERS": "X-Scope-OrgID=s3cret, X-B=c"}, "X-Scope-OrgID", "s3cret"),
    ],
)
def test_credentials_go_with_each_request_and_into_no_text(
    variables: dict[str, str], header: str, value: str
) -> None:
    credentials = PrometheusCredentials.from_environment(variables)
    seen: list[Mapping[str, str]] = []
    with running_guarded_stub(seen) as url, PrometheusMetrics(url, credentials) as metrics:
        assert metrics.query("scalar(1)", AT) == 1
    assert seen[0][header] == value
    assert "s3cret" not in repr(credentials)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PROMETHEUS_USERNAME": "me"}, "PROMETHEUS_PASSWORD"),
        ({"PROMETHEUS_TOKEN": "s3cret", "PROMETHEUS_USERNAME": "a"}, "PROMETHEUS_TOKEN"),
        ({"PROMETHEUS_HEADERS": "s3cret"}, "NAME=VALUE"),
        ({"PROMETHEUS_CA_FILE": "/missing"}, "PROMETHEUS_CA_FILE"),
        ({"PROMETHEUS_CLIENT_KEY": "/k"}, "PROMETHEUS_CLIENT_CERTIFICATE"),
    ],
)
def test_half_a_credential_is_refused_by_its_variable(
    variables: dict[str, str], named: str
) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        PrometheusCredentials.from_environment(variables)
    assert "s3cret" not in str(refused.value)


def test_a_password_in_the_url_is_refused_unprinted() -> None:
    """The URL is part of error messages, the ledger and the post-mortem."""
    with pytest.raises(ValueError, match="PROMETHEUS_PASSWORD") as refused:
        PrometheusMetrics("https://me:s3cret@example.org")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("warning", ["remote read failed", "no store matched"])
def test_a_partial_answer_is_no_measurement(warning: str) -> None:
    """Thanos and Mimir answer 200 with a part of the series when a store is down."""
    vector = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.001"]}]}
    answer = {"status": "success", "warnings": [warning], "data": vector}
    with (
        running_stub(200, json.dumps(answer).encode()) as url,
        PrometheusMetrics(url) as metrics,
        pytest.raises(MetricsUnreachableError, match=f"partial: {warning}"),
    ):
        metrics.query("vector(1)", AT)


def test_a_bare_absent_is_one_while_the_series_is_missing_and_zero_while_it_exists(
    prometheus: PrometheusMetrics,
) -> None:
    """Without the 0 it would be no data while all is well, and without an age it could never fire."""
    now = datetime.now(UTC)
    gone = complete_absence('absent(up{job="gone"})')
    assert prometheus.query(gone, now) == 1
    assert prometheus.query(sample_age_query(gone) or "", now) == 0
    there = complete_absence("absent(prometheus_build_info)")
    if prometheus.query("count(prometheus_build_info)", now):
        assert prometheus.query(there, now) == 0


def test_label_values_may_contain_what_looks_like_a_modifier(prometheus: PrometheusMetrics) -> None:
    """A selector was once cut at `` offset ``, which made every reading stale."""
    odd, plain = (
        sample_age_query(f"sum({selector})") or ""
        for selector in ('up{job=~"prometheus|a offset b| @ "}', 'up{job="prometheus"}')
    )
    at = datetime.now(UTC) - timedelta(seconds=1)
    assert prometheus.query(odd, at) == prometheus.query(plain, at)
