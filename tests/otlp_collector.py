"""An OpenTelemetry collector for tests: what was really sent, over real HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class OtlpCollector(ThreadingHTTPServer):
    """An OTLP receiver (HTTP, protobuf) that keeps the spans."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OtlpHandler)
        self.requests: list[ExportTraceServiceRequest] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def trace_ids_by_span(self, service: str) -> dict[str, str]:
        """Trace id by the name of each span of a service."""
        return dict(self._spans_of(service))

    def router_span_names(self, trace: str) -> set[str]:
        """Return the names of the router's spans in one trace."""
        return {name for name, found in self._spans_of("sluice-router") if found == trace}

    def _spans_of(self, service: str) -> Iterator[tuple[str, str]]:
        for request in list(self.requests):
            for resource in request.resource_spans:
                if any(a.value.string_value == service for a in resource.resource.attributes):
                    for scope in resource.scope_spans:
                        yield from ((span.name, span.trace_id.hex()) for span in scope.spans)


class OtlpHandler(BaseHTTPRequestHandler):
    server: OtlpCollector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Stay quiet."""


@contextmanager
def running_collector() -> Iterator[OtlpCollector]:
    """Run a collector until the block ends."""
    with OtlpCollector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
