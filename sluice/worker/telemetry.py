"""The worker's telemetry: the SDK's metrics for Prometheus, traces for OpenTelemetry."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio.client import Interceptor
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from sluice.installation import install_command
from sluice.worker.settings import WorkerSettings, WorkerSettingsError

LATENESS_BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""With a bound at 5 s, where the alert ``WatchesLate`` begins; the SDK's own go from 2.5 s to 10 s."""


@dataclass(frozen=True)
class Tracing:
    """Interceptors for the client, and the flush of the last spans."""

    interceptors: tuple[Interceptor, ...] = ()
    close: Callable[[], None] = lambda: None


def build_runtime(settings: WorkerSettings) -> Runtime | None:
    """Serve the SDK's metrics at the configured address; return None for the SDK's default.

    Raises:
        WorkerSettingsError: nothing can listen there.
    """
    if not settings.metrics_address:
        return None
    metrics = PrometheusConfig(
        bind_address=settings.metrics_address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={"sluice_watch_lateness": LATENESS_BUCKETS_SECONDS},
    )
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=metrics))
    except ValueError as error:
        raise WorkerSettingsError(
            f"SLUICE_WORKER_METRICS_ADDRESS={settings.metrics_address!r} cannot be served: {error}"
        ) from None


def start_tracing(settings: WorkerSettings) -> Tracing:
    """Send spans of workflows and activities when an OTLP endpoint is set.

    The exporter reads the other ``OTEL_…`` variables (headers, certificates, service name) itself.

    Raises:
        WorkerSettingsError: an endpoint is set, but the extra ``otel`` is not installed.
    """
    if not (settings.otlp_endpoint or settings.otlp_traces_endpoint):
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - optional
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - optional
        from temporalio.contrib.opentelemetry import TracingInterceptor  # noqa: PLC0415 - optional
    except ImportError as error:
        raise WorkerSettingsError(
            f"an OTLP endpoint is set, but {error.name} is not installed; run {install_command('otel')}"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "sluice-worker"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing((TracingInterceptor(provider.get_tracer("sluice")),), provider.shutdown)
