"""The five commands of docs/catalog.md lead a role that only reads from an address to an answer."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.conftest import Neo4jSettings, clean_environ, run_blocking
from tests.free_port import free_port

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[2] / "docs" / "catalog.md"
LAST_YEAR = datetime.now(UTC).year - 1
TABLES = f"""
    CREATE TABLE customer (customer_id integer PRIMARY KEY, first_name text, last_name text,
      city text, email text);
    CREATE TABLE orders (order_id integer PRIMARY KEY, total numeric NOT NULL,
      customer_id integer NOT NULL REFERENCES customer, order_date date NOT NULL);
    INSERT INTO customer VALUES (1, 'Ada', 'Brandt', 'Oslo', 'ada@example.org'),
      (2, 'Noor', 'Haddad', 'Bergen', 'noor@example.org'), (3, 'Lee', 'Park', 'Oslo', NULL);
    INSERT INTO orders VALUES (10, 500, 1, '{LAST_YEAR - 1}-05-01'), (11, 70, 1, '{LAST_YEAR}-03-01'),
      (12, 90, 2, '{LAST_YEAR}-04-01'), (13, 40, 3, '{LAST_YEAR}-04-02');
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO shop_reader; ANALYZE;
"""  # noqa: S608 - our own values


async def _create_shop(admin: str) -> None:
    connection = await asyncpg.connect(admin)
    await connection.execute("DROP DATABASE IF EXISTS docs_shop WITH (FORCE)")
    await connection.execute("DROP ROLE IF EXISTS shop_reader")
    await connection.execute("CREATE ROLE shop_reader LOGIN PASSWORD 'shop'")
    await connection.execute("CREATE DATABASE docs_shop")
    await connection.close()
    shop = await asyncpg.connect(_in_shop(admin))
    await shop.execute(TABLES)
    await shop.close()


def _in_shop(dsn: str) -> str:
    return urlsplit(dsn)._replace(path="/docs_shop").geturl()


@pytest.fixture
def environment(
    redis_url: str, postgres_dsn: str, neo4j_settings: Neo4jSettings, qdrant_url: str
) -> dict[str, str]:
    """Return the addresses of a team's stores; the role of Postgres may only read."""
    run_blocking(lambda: _create_shop(postgres_dsn))
    address = urlsplit(_in_shop(postgres_dsn))
    reader = address._replace(netloc=f"shop_reader:shop@127.0.0.1:{address.port}").geturl()
    return clean_environ() | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLUICE_ENVIRONMENT": "docs-catalog",
        "REDIS_URL": redis_url,
        "POSTGRES_DSN": reader,
        "NEO4J_URI": neo4j_settings.uri,
        "NEO4J_USER": neo4j_settings.user,
        "NEO4J_PASSWORD": neo4j_settings.password,
        "QDRANT_URL": qdrant_url,
    }


def _commands() -> list[str]:
    block = re.search(r"```sh\n(export POSTGRES_DSN.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block is not None
    commands = block[1].strip().splitlines()
    assert len(commands) == 5
    return commands


@contextmanager
def _background(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    argv = ["/bin/bash", "-c", f"exec env {command}"]
    process = subprocess.Popen(argv, cwd=folder, env=environment)  # noqa: S603 - the page's own
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _run(
    command: str, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    argv = shlex.split(command)
    return subprocess.run(  # noqa: S603 - the page's own
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _ask_until_ready(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Ask until the router is there and has read the values."""
    deadline = time.monotonic() + 90
    while True:
        reply = _run(command, folder, environment)
        if reply.returncode == 0 and "understood:" in reply.stdout:
            return reply.stdout
        assert time.monotonic() < deadline, f"{reply.stdout}\n{reply.stderr}"
        time.sleep(0.5)


def test_five_commands_lead_to_the_first_answer(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Each command is the page's own; addresses and port are the test's."""
    _, discover, index, router, ask = _commands()
    for command in (discover, index):
        reply = _run(command, tmp_path, environment)
        assert reply.returncode == 0, reply.stderr
    serve = f"{router.removesuffix('&').strip()} --port {free_port()}"
    with _background(serve, tmp_path, environment):
        answer = _ask_until_ready(ask, tmp_path, environment)
    assert re.search(r"^1\. Noor Haddad", answer, re.MULTILINE), answer
    for part in ("matches", "form", "sql"):
        assert re.search(rf"^{part} ", answer, re.MULTILINE), answer
    assert "need not meet" not in answer
    _check_questions(tmp_path, environment)


def _check_questions(folder: Path, environment: Mapping[str, str]) -> None:
    """Find the file right, and fault a question from another store and one with unknown words."""
    lines = ["how many customers are there?", '{"query": "customers in Oslo", "store": "graph"}']
    (folder / "questions.txt").write_text("\n".join([*lines, "orders on weekends"]), "utf-8")
    command = "sluice catalog check --catalog catalog.yaml --questions questions.txt --json"
    reply = _run(command, folder, environment)
    document = json.loads(reply.stdout)
    assert (reply.returncode, document["drift"]) == (1, [])
    counted, elsewhere, strange = document["questions"]
    assert (counted["value"], counted["problem"]) == (3, "")
    assert elsewhere["problem"] == "answered by postgres, expected graph"
    assert "weekends" in strange["problem"]
