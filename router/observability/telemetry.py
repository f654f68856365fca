"""Traces: W3C ``traceparent`` in and out always, OpenTelemetry spans when a collector is set.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (OpenTelemetry's own variable) switches export on; it needs the
extra ``sluice[otel]``. Spans leave in batches from a thread of the SDK; a collector that is away
costs spans, never a query.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from router.errors import RouterSettingsError
from router.observability import trace

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
logger = structlog.get_logger(__name__)


class Telemetry:
    """Opens one trace per request; ``close`` sends what is left."""

    def __init__(self, tracer: Any = None, provider: Any = None) -> None:  # noqa: ANN401 - the SDK is optional
        self._tracer = tracer
        self._provider = provider

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Telemetry":
        """Start tracing; raise RouterSettingsError for an endpoint without the SDK."""
        if not any(env.get(name) for name in ENDPOINTS):
            return cls()
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - optional
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - optional
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - optional
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - optional
        except ImportError as error:
            raise RouterSettingsError(
                f"{ENDPOINTS[0]} is set: install sluice[otel], or unset it ({error})"
            ) from error
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our name.
        provider = TracerProvider(resource=Resource.create({"service.name": "sluice-router"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracer = provider.get_tracer("sluice.router")
        trace.set_span_tracer(tracer)
        return cls(tracer, provider)

    @contextmanager
    def trace_request(self, name: str, headers: Mapping[str, str]) -> Iterator[trace.Trace]:
        """Continue the caller's trace of ``traceparent``, or open a new one."""
        if self._tracer is None:
            match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
            with trace.open_trace(match[1] if match else None) as opened:
                yield opened
            return
        from opentelemetry.trace import SpanKind, use_span  # noqa: PLC0415 - optional
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - optional
            TraceContextTextMapPropagator,
        )

        parent = TraceContextTextMapPropagator().extract(dict(headers))
        span = self._tracer.start_span(name, context=parent, kind=SpanKind.SERVER)
        trace_id = f"{span.get_span_context().trace_id:032x}"
        with use_span(span, end_on_exit=True), trace.open_trace(trace_id) as opened:
            yield opened
            for key, value in opened.attributes.items():
                span.set_attribute(f"sluice.{key}", value)

    def close(self) -> None:
        """Send what waits; at most the SDK's own thirty seconds."""
        if self._provider is not None:
            self._provider.shutdown()
