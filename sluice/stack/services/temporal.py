"""Temporal's development server with its UI, its state in one database file.

The advertised UI is that of ``sluice.stack.temporal_ui``, which only reads.
"""

import signal
import sys
from dataclasses import dataclass

import httpx

from sluice.stack.executables import find_executable
from sluice.stack.port_allocator import LOOPBACK
from sluice.stack.service import ServiceContext

NAMESPACE = "default"
# By default Temporal deletes histories after 24 h; a rollout takes 28 days.
RETENTION = f"{90 * 24 * 3600}s"
SEARCH_ATTRIBUTES = (
    "SluiceFlag=Keyword",
    "SluiceStage=Keyword",
    "SluicePercentage=Double",
    "SluiceStatus=Keyword",
)
HTTP_HOST = "sluice.invalid"
"""The one Host header that the HTTP API takes.

Its writes need no token, and the server cannot do without it. No name server knows this name, so no
page in a browser can send it.
"""


@dataclass(frozen=True, slots=True)
class Temporal:
    name: str = "temporal"
    address_variable: str = "TEMPORAL_ADDRESS"
    companion_variables: tuple[str, ...] = ("TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL")
    port_names: tuple[str, ...] = ("grpc", "ui", "own_ui", "http", "metrics")
    stop_signal: int = signal.SIGTERM

    def require_installed(self) -> None:
        find_executable("temporal")

    async def prepare(self, context: ServiceContext) -> None:
        """Do nothing: the server creates its database file."""

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        flags = {"grpc": "--port", "own_ui": "--ui-port", "http": "--http-port"}
        flags["metrics"] = "--metrics-port"
        ports = tuple(part for key in flags for part in (flags[key], str(context.ports[key])))
        attributes = tuple(
            part for attribute in SEARCH_ATTRIBUTES for part in ("--search-attribute", attribute)
        )
        storage = ("--db-filename", str(context.directory / "temporal.db"))
        hosts = ("--dynamic-config-value", f'frontend.httpAllowedHosts=["{HTTP_HOST}"]')
        start = (find_executable("temporal"), "server", "start-dev", "--ip", LOOPBACK, *hosts)
        interface_ports = (str(context.ports["ui"]), str(context.ports["own_ui"]))
        interface = (sys.executable, "-m", "sluice.stack.temporal_server", *interface_ports)
        return (*interface, *start, *ports, *storage, *attributes, "--log-level", "warn")

    async def check_health(self, context: ServiceContext) -> None:
        async with _client(context) as client:
            (await client.get(NAMESPACE)).raise_for_status()
            # The UI connects to the server by itself, so its own answer shows that it works too.
            interface = f"http://{context.address('ui')}/api/v1/namespaces/{NAMESPACE}"
            own_host = {"Host": context.address("ui")}
            (await client.get(interface, headers=own_host)).raise_for_status()

    async def post_start(self, context: ServiceContext) -> None:
        """Keep histories for 90 days."""
        change = {"config": {"workflowExecutionRetentionTtl": RETENTION}}
        async with _client(context) as client:
            (await client.post(f"{NAMESPACE}/update", json=change)).raise_for_status()

    def environment(self, context: ServiceContext) -> dict[str, str]:
        return {
            self.address_variable: context.address("grpc"),
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_UI_URL": f"http://{context.address('ui')}",
        }


def _client(place: ServiceContext) -> httpx.AsyncClient:
    """Return a client of the server's HTTP API, which its gRPC frontend serves."""
    base = f"http://{place.address('http')}/api/v1/namespaces"
    return httpx.AsyncClient(base_url=base, headers={"Host": HTTP_HOST}, trust_env=False)
