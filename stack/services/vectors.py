"""Qdrant's engine behind Qdrant's own HTTP interface: one process, shared by every router."""

import signal
import sys
from dataclasses import dataclass

from stack.programs import package_file
from stack.service import Place
from stack.supervisor import http_check


@dataclass(frozen=True, slots=True)
class Vectors:
    name: str = "qdrant"
    variable: str = "QDRANT_URL"
    companions: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("http",)
    stop_signal: int = signal.SIGTERM

    def require(self) -> None:
        package_file("qdrant_edge", "__init__.py")

    async def prepare(self, place: Place) -> None:
        """Nothing to prepare: the server creates its folders."""

    def argv(self, place: Place) -> tuple[str, ...]:
        storage = ("--folder", str(place.folder / "collections"))
        listen = ("--port", str(place.ports["http"]))
        return (sys.executable, "-m", "stack.vector_server", *listen, *storage)

    async def check(self, place: Place) -> None:
        await http_check(f"http://{place.at('http')}/readyz")()

    def environment(self, place: Place) -> dict[str, str]:
        return {self.variable: f"http://{place.at('http')}"}
