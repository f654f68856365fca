"""Qdrant's engine behind Qdrant's own HTTP interface: one process, shared by every router."""

import signal
import sys
from dataclasses import dataclass

from sluice.stack.executables import package_file
from sluice.stack.service import ServiceContext
from sluice.stack.supervisor import http_check


@dataclass(frozen=True, slots=True)
class Qdrant:
    name: str = "qdrant"
    address_variable: str = "QDRANT_URL"
    companion_variables: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("http",)
    stop_signal: int = signal.SIGTERM

    def require_installed(self) -> None:
        package_file("qdrant_edge", "__init__.py")

    async def prepare(self, context: ServiceContext) -> None:
        """Do nothing: the server creates its folders."""

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        storage = ("--folder", str(context.directory / "collections"))
        listen = ("--port", str(context.ports["http"]))
        return (sys.executable, "-m", "sluice.stack.vector_server", *listen, *storage)

    async def check_health(self, context: ServiceContext) -> None:
        await http_check(f"http://{context.address('http')}/readyz")()

    def environment(self, context: ServiceContext) -> dict[str, str]:
        return {self.address_variable: f"http://{context.address('http')}"}
