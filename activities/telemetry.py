"""What a worker tells of itself: the SDK's metrics for Prometheus, traces for OpenTelemetry."""

from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio.client import Interceptor
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from activities.settings import WorkerSettings


@dataclass(frozen=True)
class Tracing:
    """Interceptors for the client, and what flushes the last spans at the end."""

    interceptors: tuple[Interceptor, ...] = ()
    close: Callable[[], None] = lambda: None


def runtime(settings: WorkerSettings) -> Runtime | None:
    """Serve the SDK's metrics at the address asked for; None is the SDK's own default."""
    if not settings.metrics_address:
        return None
    metrics = PrometheusConfig(
        bind_address=settings.metrics_address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
    )
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))


def tracing(settings: WorkerSettings) -> Tracing:
    """Send spans of workflows and activities when an OTLP endpoint is set.

    The exporter reads the other ``OTEL_…`` variables (headers, certificates, service name) itself.
    """
    if not settings.otlp_endpoint:
        return Tracing()
    provider = TracerProvider(resource=Resource.create({"service.name": "sluice-worker"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    interceptor = TracingInterceptor(provider.get_tracer("sluice"))
    return Tracing((interceptor,), provider.shutdown)
