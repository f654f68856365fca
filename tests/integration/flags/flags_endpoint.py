"""A process that serves flags: a reader, and a real HTTP server that answers `GET /flags`."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sluice.flags import FlagReader
from sluice.flags.redis.process_registry import ServiceProcess
from sluice.flags.service.readback import flags_response


@dataclass
class FlagsEndpoint:
    """A real HTTP server that answers `/flags` as the router does."""

    identity: str
    reader: FlagReader

    def __post_init__(self) -> None:
        process = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(flags_response(process.identity, process.reader)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def as_router_process(self, identity: str | None = None) -> ServiceProcess:
        port = self.server.server_address[1]
        return ServiceProcess(identity or self.identity, f"http://127.0.0.1:{port}", 1, 0.0)

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
