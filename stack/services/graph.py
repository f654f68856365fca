"""A Bolt graph server (ArcadeDB, its Java bundled) in a Python process of its own."""

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from stack.home import kept_password
from stack.ports import LOOPBACK
from stack.programs import package_file
from stack.service import Place

USER = "root"
DATABASE = "neo4j"
BOLT_MAGIC = bytes.fromhex("6060b017")
# Bolt 5.0 to 5.4, then nothing else: four proposals of four bytes.
BOLT_PROPOSALS = bytes.fromhex("00040405") + bytes(12)


@dataclass(frozen=True, slots=True)
class Graph:
    name: str = "graph"
    variable: str = "NEO4J_URI"
    companions: tuple[str, ...] = ("NEO4J_USER", "NEO4J_PASSWORD", "NEO4J_DATABASE")
    port_names: tuple[str, ...] = ("bolt", "http")
    stop_signal: int = signal.SIGTERM

    def require(self) -> None:
        package_file("arcadedb_embedded", "jre")

    async def prepare(self, place: Place) -> None:
        kept_password(_password_file(place))

    def argv(self, place: Place) -> tuple[str, ...]:
        ports = ("--bolt-port", str(place.ports["bolt"]), "--http-port", str(place.ports["http"]))
        storage = ("--folder", str(place.folder / "databases"), "--database", DATABASE)
        secret = ("--password-file", str(_password_file(place)))
        return (sys.executable, "-m", "stack.graph_server", *ports, *storage, *secret)

    async def check(self, place: Place) -> None:
        """The database exists (asked over HTTP with the password) and the Bolt port speaks Bolt."""
        auth = (USER, kept_password(_password_file(place)))
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            answer = await client.get(f"http://{place.at('http')}/api/v1/exists/{DATABASE}")
        if answer.raise_for_status().json().get("result") is not True:
            raise ConnectionError(f"database {DATABASE} doesn't exist yet")
        await _shake_hands(place.ports["bolt"])

    def environment(self, place: Place) -> dict[str, str]:
        return {
            self.variable: f"bolt://{place.at('bolt')}",
            "NEO4J_USER": USER,
            "NEO4J_PASSWORD": kept_password(_password_file(place)),
            "NEO4J_DATABASE": DATABASE,
        }


def _password_file(place: Place) -> Path:
    return place.folder / "password"


async def _shake_hands(port: int) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(BOLT_MAGIC + BOLT_PROPOSALS)
        version = await reader.readexactly(4)
    finally:
        writer.close()
    if version == bytes(4):
        raise ConnectionError("the server speaks none of Bolt 5.0 to 5.4")
