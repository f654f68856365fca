"""Temporal's development server with its UI, its state in one database file."""

import signal
from dataclasses import dataclass

import httpx

from stack.ports import LOOPBACK
from stack.programs import program
from stack.service import Place

NAMESPACE = "default"
# Workflow histories vanish after 24 h by default, in the middle of a rollout of 28 days.
RETENTION = f"{90 * 24 * 3600}s"
SEARCH_ATTRIBUTES = (
    "SluiceFlag=Keyword",
    "SluiceStage=Keyword",
    "SluicePercentage=Double",
    "SluiceStatus=Keyword",
)


@dataclass(frozen=True, slots=True)
class Temporal:
    name: str = "temporal"
    variable: str = "TEMPORAL_ADDRESS"
    companions: tuple[str, ...] = ("TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL")
    port_names: tuple[str, ...] = ("grpc", "ui", "http", "metrics")
    stop_signal: int = signal.SIGTERM

    def require(self) -> None:
        program("temporal")

    async def prepare(self, place: Place) -> None:
        """Nothing to prepare: the server creates its database file."""

    def argv(self, place: Place) -> tuple[str, ...]:
        flags = {"grpc": "--port", "ui": "--ui-port", "http": "--http-port"}
        flags["metrics"] = "--metrics-port"
        ports = tuple(part for key in flags for part in (flags[key], str(place.ports[key])))
        attributes = tuple(
            part for one in SEARCH_ATTRIBUTES for part in ("--search-attribute", one)
        )
        storage = ("--db-filename", str(place.folder / "temporal.db"))
        start = (program("temporal"), "server", "start-dev", "--ip", LOOPBACK)
        return (*start, *ports, *storage, *attributes, "--log-level", "warn")

    async def check(self, place: Place) -> None:
        async with _client(place) as client:
            (await client.get(NAMESPACE)).raise_for_status()

    async def settle(self, place: Place) -> None:
        """Keep histories for 90 days."""
        change = {"config": {"workflowExecutionRetentionTtl": RETENTION}}
        async with _client(place) as client:
            (await client.post(f"{NAMESPACE}/update", json=change)).raise_for_status()

    def environment(self, place: Place) -> dict[str, str]:
        return {
            self.variable: place.at("grpc"),
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_UI_URL": f"http://{place.at('ui')}",
        }


def _client(place: Place) -> httpx.AsyncClient:
    """A client of the server's HTTP API, which its gRPC frontend answers."""
    base = f"http://{place.at('http')}/api/v1/namespaces"
    return httpx.AsyncClient(base_url=base, trust_env=False)
