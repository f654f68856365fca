"""A Bolt graph server (ArcadeDB, its Java bundled) in a Python process of its own."""

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from sluice.stack.data_directory import load_or_create_password
from sluice.stack.executables import package_file
from sluice.stack.port_allocator import LOOPBACK
from sluice.stack.service import ServiceContext

USER = "root"
DATABASE = "neo4j"
BOLT_MAGIC = bytes.fromhex("6060b017")
# Bolt 5.0 to 5.4, then nothing else: four proposals of four bytes.
BOLT_PROPOSALS = bytes.fromhex("00040405") + bytes(12)


@dataclass(frozen=True, slots=True)
class Graph:
    name: str = "graph"
    address_variable: str = "NEO4J_URI"
    companion_variables: tuple[str, ...] = ("NEO4J_USER", "NEO4J_PASSWORD", "NEO4J_DATABASE")
    port_names: tuple[str, ...] = ("bolt", "http")
    stop_signal: int = signal.SIGTERM

    def require_installed(self) -> None:
        package_file("arcadedb_embedded", "jre")

    async def prepare(self, context: ServiceContext) -> None:
        load_or_create_password(_password_file(context))

    def argv(self, context: ServiceContext) -> tuple[str, ...]:
        ports = (
            "--bolt-port",
            str(context.ports["bolt"]),
            "--http-port",
            str(context.ports["http"]),
        )
        storage = ("--folder", str(context.directory / "databases"), "--database", DATABASE)
        secret = ("--password-file", str(_password_file(context)))
        return (sys.executable, "-m", "sluice.stack.graph_server", *ports, *storage, *secret)

    async def check_health(self, context: ServiceContext) -> None:
        """Raise unless the database exists (over HTTP, with the password) and the Bolt port answers."""
        auth = (USER, load_or_create_password(_password_file(context)))
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            answer = await client.get(f"http://{context.address('http')}/api/v1/exists/{DATABASE}")
        if answer.raise_for_status().json().get("result") is not True:
            raise ConnectionError(f"database {DATABASE} doesn't exist yet")
        await _check_bolt_handshake(context.ports["bolt"])

    def environment(self, context: ServiceContext) -> dict[str, str]:
        return {
            self.address_variable: f"bolt://{context.address('bolt')}",
            "NEO4J_USER": USER,
            "NEO4J_PASSWORD": load_or_create_password(_password_file(context)),
            "NEO4J_DATABASE": DATABASE,
        }


def _password_file(place: ServiceContext) -> Path:
    return place.directory / "password"


async def _check_bolt_handshake(port: int) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(BOLT_MAGIC + BOLT_PROPOSALS)
        version = await reader.readexactly(4)
    finally:
        writer.close()
    if version == bytes(4):
        raise ConnectionError("the server does not speak Bolt 5.0 to 5.4")
