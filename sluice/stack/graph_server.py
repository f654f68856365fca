"""Run ArcadeDB with its Bolt plugin until SIGTERM: ``python -m sluice.stack.graph_server --help``."""

import argparse
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import arcadedb_embedded  # type: ignore[import-untyped]  # it ships no types
from arcadedb_embedded.server import (  # type: ignore[import-untyped]  # as above
    ArcadeDBServer,
)

from sluice.stack.port_allocator import LOOPBACK

BOLT_PLUGIN = "Bolt:com.arcadedb.bolt.BoltProtocolPlugin"
HEAP = "512m"
INDEXES = (
    "CREATE VERTEX TYPE SluiceRecord IF NOT EXISTS",
    "CREATE PROPERTY SluiceRecord.title IF NOT EXISTS STRING",
    "CREATE PROPERTY SluiceRecord.text IF NOT EXISTS STRING",
    "CREATE PROPERTY SluiceRecord.embedding IF NOT EXISTS ARRAY_OF_FLOATS",
    'CREATE INDEX IF NOT EXISTS ON SluiceRecord (title, text) FULL_TEXT METADATA {"analyzer": '
    '"org.apache.lucene.analysis.en.EnglishAnalyzer"}',
    "CREATE INDEX IF NOT EXISTS ON SluiceRecord (embedding) LSM_VECTOR METADATA "
    '{"dimensions": 384, "similarity": "COSINE"}',
)
"""The router's full-text and vector index. ArcadeDB creates them in SQL only, Neo4j in Cypher."""


def main(arguments: Sequence[str] | None = None) -> None:
    settings = _parser().parse_args(arguments)
    stopping = threading.Event()
    config = {
        "host": LOOPBACK,
        "http_port": settings.http_port,
        "server_plugins": BOLT_PLUGIN,
        "bolt_port": settings.bolt_port,
        "mode": "production",
    }
    folder, password = settings.folder.resolve(), settings.password_file.read_text()
    os.chdir(folder.parent)  # the JVM writes log/ and crash reports into its working directory
    server = ArcadeDBServer(
        str(folder),
        password,
        config,
        {"heap_size": HEAP},
    )
    server.start()
    database = server.create_database(settings.database)
    for statement in INDEXES:
        database.command("sql", statement)
    # After the start, during which the JVM installs its own signal handlers.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    print(f"arcadedb {arcadedb_embedded.__version__}: bolt on {settings.bolt_port}", flush=True)  # noqa: T201  # its log
    stopping.wait()
    server.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluice.stack.graph_server")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the databases")
    parser.add_argument("--database", required=True, help="created when missing")
    parser.add_argument("--bolt-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--password-file", type=Path, required=True, help="of the user root")
    return parser


if __name__ == "__main__":
    main()
