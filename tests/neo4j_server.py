"""A real Neo4j for contract tests, fetched by Maven where Maven Central answers.

``tests/neo4j/pom.xml`` names the artefact; nothing is installed but jars in Maven's own repository.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parent / "neo4j"
FETCH_SECONDS, START_SECONDS = 240, 240
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"


class NoNeo4jError(Exception):
    """The reason that a real Neo4j is missing; the contract tests print it."""


@contextmanager
def real_neo4j(folder: Path) -> Iterator[str]:
    """Its Bolt address, without authentication. Raises NoNeo4jError."""
    classpath = _classpath(folder)
    options = folder / "java.options"
    options.write_text(f"-Xmx512m -cp {classpath}\n")
    command = [_program("java"), f"@{options}", str(FOLDER / "Neo4jForTests.java")]
    log = (folder / "neo4j.log").open("wb")
    with (
        log,
        subprocess.Popen(  # noqa: S603 - our own program
            [*command, str(folder / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        try:
            address = _address(process, folder)
            from neo4j import GraphDatabase  # noqa: PLC0415 - slow

            # Its first answers take longer than a router waits for a graph.
            with GraphDatabase.driver(address) as driver:
                driver.execute_query("MATCH (n) RETURN count(n)")
            watchdog.cancel()
            yield address
        finally:
            watchdog.cancel()
            process.kill()


def _address(process: "subprocess.Popen[bytes]", folder: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b"BOLT "):
            return line.split()[1].decode().rstrip("/")
    raise NoNeo4jError(f"Neo4j did not start: {(folder / 'neo4j.log').read_text()[-500:]}")


def _classpath(folder: Path) -> str:
    """From Maven's repository on this machine, else from Maven Central."""
    found = folder / "classpath"
    arguments = ("-q", "-B", "-f", str(FOLDER / "pom.xml"), PLUGIN, f"-Dmdep.outputFile={found}")
    for mode in (("-o",), ()):
        try:
            done = subprocess.run(  # noqa: S603 - literal arguments
                [_program("mvn"), *mode, *arguments],
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NoNeo4jError(f"Maven Central did not answer in {FETCH_SECONDS} s") from None
        if done.returncode == 0:
            return found.read_text().strip()
    raise NoNeo4jError(f"Maven could not fetch it: {done.stdout[-300:]}")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise NoNeo4jError(f"no {name} on PATH")
    return path
