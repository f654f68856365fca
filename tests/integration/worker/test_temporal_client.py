"""The worker's and the command line's connection: TLS, client certificates, traces."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from router.observability import trace
from router.observability.telemetry import Telemetry
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.worker.settings import WorkerSettings
from sluice.worker.temporal_client import open_client
from tests.faults.tls_proxy import tls_proxy, write_certificate
from tests.otlp_collector import OtlpCollector, running_collector

pytestmark = pytest.mark.integration
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """One certificate for both sides; it is its own authority."""
    return write_certificate(tmp_path)


def tls_variables(port: int, certificate: Path) -> dict[str, str]:
    """Temporal's own variables, as docs/operations.md names them."""
    return {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(certificate),
    }


def mutual_tls_variables(port: int, certificate: Path) -> dict[str, str]:
    return tls_variables(port, certificate) | {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(certificate),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(certificate),
    }


async def test_worker_and_command_line_reach_temporal_by_mutual_tls(
    temporal_address: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment alone says so; without the client's certificate nobody is let in."""
    plain = int(temporal_address.rpartition(":")[2])
    with tls_proxy(plain, certificate, clients=certificate) as port:
        for name, value in mutual_tls_variables(port, certificate).items():
            monkeypatch.setenv(name, value)
        async with open_client(WorkerSettings()) as client:
            assert await client.service_client.check_health()
        client = await Context(mutual_tls_variables(port, certificate)).connect_temporal()
        assert await client.service_client.check_health()
        with pytest.raises(CliError) as refused:
            await Context(tls_variables(port, certificate)).connect_temporal()
        assert refused.value.code is Exit.UNREACHABLE


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpCollector]:
    with running_collector() as server:
        monkeypatch.setenv(ENDPOINT, server.url)
        yield server


@activity.defn
async def traced_activity() -> None:
    """Only its span is looked at."""


@workflow.defn
class OneActivityWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            traced_activity, start_to_close_timeout=timedelta(seconds=10)
        )


async def test_spans_of_a_workers_activities_arrive_at_a_collector(
    temporal_address: str, collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last ones too: leaving the connection sends what is left."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    settings = WorkerSettings.read({ENDPOINT: collector.url})
    queue = f"traced-{uuid.uuid4()}"
    async with (
        open_client(settings) as client,
        Worker(
            client,
            task_queue=queue,
            workflows=[OneActivityWorkflow],
            activities=[traced_activity],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        await client.execute_workflow(OneActivityWorkflow.run, id=queue, task_queue=queue)
    spans = collector.trace_ids_by_span("sluice-worker")
    assert {"RunWorkflow:OneActivityWorkflow", "RunActivity:traced_activity"} <= spans.keys()
    assert spans["RunActivity:traced_activity"] == spans["RunWorkflow:OneActivityWorkflow"], (
        "one trace"
    )


def test_a_routers_requests_arrive_in_their_callers_trace(
    collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W3C traceparent in, OTLP out."""
    monkeypatch.setattr(trace, "set_span_tracer", lambda _: None)  # the module keeps the tracer
    telemetry = Telemetry.from_environment({ENDPOINT: collector.url})
    headers = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
    with telemetry.trace_request("POST /query", headers) as opened:
        opened.attributes["intent"] = "graph"
    telemetry.close()
    assert collector.trace_ids_by_span("sluice-router") == {"POST /query": TRACE_ID}
