"""A folder of files as people have them goes in through the command, and a killed run goes on."""

import asyncio
import json
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
from typer.testing import CliRunner

from router.settings import StoreSettings
from router.store_clients import StoreClients, open_stores
from sluice.cli.registry import build_app
from tests.conftest import Neo4jSettings
from tests.integration.router.ingestion_process import kill_ingestion

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("SLUICE_TEST_KILLS", "6"))
LONG = " ".join(f"Sentence number {n} of a long text." for n in range(120))
FILES: dict[str, bytes] = {
    "customers.csv": b"id,name\n1,Ann\n2,Bo\n3,Cy\n",
    "products.csv": b"id,name\n1,Axle\n2,Brake\n3,Hub\n",
    "heroes.csv": b"ID,name\n1,A\n1,B\n2,C\n2,C\n",
    "unnamed.csv": b"id,,Price,Price (%)\n1,x,2,3\n",
    "chinese.csv": "id,价格\n1,5\n".encode(),
    "sizes.csv": "id,Größe\n1,klein\n".encode("latin-1"),
    "utf16.csv": "id,name\n1,süß\n".encode("utf-16"),
    "bom.csv": b"\xef\xbb\xbfid,name\n1,x\n",
    "dates.csv": b"id,date\n1,2014-7-1\n2,2014-7-15\n",
    "ambiguous.csv": b"id,date\n1,01/02/2014\n",
    "months.csv": b'id,date\n1,"Jul 1, 2014"\n',
    "baddate.csv": b"id,date\n1,2014-07-01\n2,2014-13-45\n",
    "prices.csv": b"id,price\n1,5\n2,N/A\n",
    "ragged.csv": b"id,name\n1,a\n2,b,c\n3,d\n",
    "semicolons.csv": b"id;name\n1;a, b\n",
    "tabs.tsv": b"id\tname\n1\ta\n",
    "long.csv": f'id,text\n1,"{LONG}"\n'.encode(),
    "empty.csv": b"",
    "nul.jsonl": b'{"id": 1, "t": "a"}\n{"id": 2, "t": "x\\u0000y"}\n{"id": 3, "t": "b"}\n',
    "surrogate.jsonl": b'{"id": 1, "t": "\\ud83d"}\n{"id": 2, "t": "b"}\n',
    "bigint.jsonl": b'{"id": 1, "n": 123456789012345678901}\n',
    "separator.jsonl": '{"id": 1, "t": "a\u2028b"}\n'.encode(),
    "nested.jsonl": b'{"id": 1, "a": {"b": 2}, "items": [{"sku": "x"}, {"sku": "y"}]}\n',
    "broken.jsonl": b'{"id": 1}\n{"id": \n{"id": 3}\n',
    "script.jsonl": b'{"id": 1, "source": "javascript:alert(1)"}\n{"id": 2}\n',
    "reserved.jsonl": b'{"id": 1, "kind": "name"}\n{"id": 2}\n',
    "infinite.jsonl": b'{"id": 1, "n": Infinity}\n{"id": 2}\n',
    "longtext.jsonl": json.dumps({"id": 1, "text": LONG}).encode(),
    "headings.md": b"# Guide\nIntro.\n\n## Uninstall\n\n### Linux\nRemove it.\n",
    "setext.md": b"Guide\n=====\nIntro.\n\nSetup\n-----\nRun it.\n",
    "table.md": b"# Plans\n\n| plan | users |\n|---|---|\n| free | 5 |\n| team | 50 |\n",
    "csharp.md": b"# Languages\nText.\n\n## C#\nSharp.\n",
    "front.md": b"---\nkind: policy\ndate: 2024-03-05\n---\n# Rest\nText.\n",
    "notyaml.md": b"---\na: [\n---\n# Rest\nText.\n",
    "bare.md": b"# Only a title\n",
    "notes.txt": b"First line\n\nMore.\n",
    "windows.txt": "Größe: naïve café\r\n".encode("cp1252"),
    "binary.txt": bytes(range(256)) * 8,
    "movies.csv": b"id,name\n1,Alien\n",
    "page.html": b"<html><body><h1>Page</h1><p>Some words.</p></body></html>",
}  # fmt: skip
RECORDS = {
    "customers.csv": 3, "products.csv": 3, "heroes.csv": 4, "unnamed.csv": 1, "chinese.csv": 1,
    "sizes.csv": 1, "utf16.csv": 1, "bom.csv": 1, "dates.csv": 2, "ambiguous.csv": 1,
    "months.csv": 1, "baddate.csv": 2, "prices.csv": 2, "ragged.csv": 2, "semicolons.csv": 1,
    "tabs.tsv": 1, "long.csv": 4, "empty.csv": 0, "nul.jsonl": 2, "surrogate.jsonl": 1,
    "bigint.jsonl": 1, "separator.jsonl": 1, "nested.jsonl": 3, "broken.jsonl": 2,
    "script.jsonl": 1, "reserved.jsonl": 1, "infinite.jsonl": 2, "longtext.jsonl": 4,
    "headings.md": 2, "setext.md": 2, "table.md": 3, "csharp.md": 2, "front.md": 1,
    "notyaml.md": 1, "bare.md": 1, "notes.txt": 1, "windows.txt": 1, "movies.csv": 1,
    "page.html": 1,
}  # fmt: skip
LEFT_OUT = {
    "ambiguous.csv": "--date-format", "baddate.csv": "2014-13-45", "ragged.csv": "3 cells",
    "empty.csv": "empty", "nul.jsonl": "U+0000", "surrogate.jsonl": "U+D83D",
    "broken.jsonl": "not JSON", "script.jsonl": "http", "reserved.jsonl": "reserved",
    "infinite.jsonl": "finite", "notyaml.md": "YAML", "binary.txt": "not a text",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def environ(
    redis_url: str, postgres_dsn: str, neo4j_settings: Neo4jSettings, qdrant_url: str
) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "REDIS_URL": redis_url,
        "POSTGRES_DSN": postgres_dsn,
        "NEO4J_URI": neo4j_settings.uri,
        "NEO4J_USER": neo4j_settings.user,
        "NEO4J_PASSWORD": neo4j_settings.password,
        "NEO4J_DATABASE": neo4j_settings.database,
        "QDRANT_URL": qdrant_url,
    }


@pytest.fixture
def in_folders_parent(
    folder: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.chdir(folder.parent)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return folder


async def ingest(*options: str) -> tuple[int, Any]:
    """Run the command in this process: it takes seconds to import in a new one."""
    arguments = ["ingest", "files", "--json", *options]
    result = await asyncio.to_thread(CliRunner().invoke, build_app(arguments), arguments)
    return result.exit_code, json.loads(result.stdout)


async def stored_ids(stores: StoreClients) -> dict[str, set[str]]:
    """Return the ids of the folder's records by store."""
    rows = await stores.postgres.fetch("SELECT id FROM records WHERE starts_with(id, 'files/')")
    known = await stores.postgres.fetch("SELECT id FROM ingested WHERE starts_with(id, 'files/')")
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        result = await session.run(
            "MATCH (r:SluiceRecord) WHERE r.id STARTS WITH 'files/' RETURN r.id AS id"
        )
        nodes = [record["id"] async for record in result]
    near = await stores.vectors.find_nearest([0.05] * 384, 10_000)
    points = {str(hit.payload["id"]) for hit in near}
    return {
        "postgres": {row["id"] for row in rows},
        "ledger": {row["id"] for row in known},
        "graph": set(nodes),
        "vectors": {point for point in points if point.startswith("files/")},
    }


@pytest.fixture
def addresses(environ: dict[str, str]) -> StoreSettings:
    return StoreSettings(
        redis_url=environ["REDIS_URL"],
        postgres_dsn=environ["POSTGRES_DSN"],
        neo4j_uri=environ["NEO4J_URI"],
        neo4j_user=environ["NEO4J_USER"],
        neo4j_password=environ["NEO4J_PASSWORD"],
        neo4j_database=environ["NEO4J_DATABASE"],
        qdrant_url=environ["QDRANT_URL"],
    )


@pytest.fixture
async def stores(addresses: StoreSettings) -> AsyncIterator[StoreClients]:
    opened = await open_stores(addresses)
    yield opened
    await opened.close()


async def assert_mirror_shows_what_goes(stores: StoreClients, before: dict[str, set[str]]) -> None:
    """Without an answer nothing is removed, and each file that would go is shown with its records."""
    arguments = ["ingest", "files", "--mirror"]
    result = await asyncio.to_thread(CliRunner().invoke, build_app(arguments), arguments)
    assert "Nothing was removed: say --yes" in str(result.exception)
    assert "  files/table.md: 3 records" in result.stderr
    assert "movies.csv" not in result.stderr.partition("No longer")[2]
    assert await stored_ids(stores) == before


async def test_a_folder_goes_in_as_stated_and_a_killed_run_goes_on(
    in_folders_parent: Path, addresses: StoreSettings, stores: StoreClients
) -> None:
    folder = in_folders_parent
    dry_code, dry = await ingest("--dry-run")
    dice = random.Random(7)  # noqa: S311 - when to kill
    for _ in range(KILLS):
        await kill_ingestion(folder.parent, addresses, dice.uniform(0.1, 1))
    code, summary = await ingest()
    ids = await stored_ids(stores)
    assert all(found == ids["ledger"] for found in ids.values())
    counts = {
        name: sum(i.split("#")[0] == f"files/{name}" for i in ids["graph"]) for name in RECORDS
    }
    assert counts == RECORDS
    assert (code, dry_code) == (1, 1)
    for run in (summary, dry):
        reasons = {p["location"].split(":")[0].split("#")[0]: p["reason"] for p in run["problems"]}
        assert {f"files/{name}" for name in LEFT_OUT} == set(reasons)
        assert all(text in reasons[f"files/{name}"] for name, text in LEFT_OUT.items())
    for name in FILES:
        if name not in ("movies.csv", "binary.txt"):
            (folder / name).unlink()
    await assert_mirror_shows_what_goes(stores, ids)
    _, mirrored = await ingest("--mirror", "--yes")
    assert mirrored["removed"] == sum(RECORDS.values()) - RECORDS["movies.csv"]
    ids = await stored_ids(stores)
    assert set(map(frozenset, ids.values())) == {frozenset({"files/movies.csv#1"})}


async def test_a_watched_folder_is_ingested_again_when_it_changes(
    in_folders_parent: Path, stores: StoreClients
) -> None:
    """New, changed and removed files arrive without a command; Ctrl-C ends the watch."""
    folder = in_folders_parent
    for name in FILES:
        (folder / name).unlink()
    (folder / "first.csv").write_text("id,name\n1,Axle\n")
    command = [
        str(Path(sys.executable).with_name("sluice")),
        "ingest",
        "--watch",
        "--mirror",
        "--yes",
    ]
    process = await asyncio.create_subprocess_exec(*command, "files", stdout=DEVNULL)
    try:
        await wait_for_names(stores, {"Axle"})
        (folder / "second.csv").write_text("id,name\n1,Brake\n")
        (folder / "first.csv").write_text("id,name\n1,Axis\n2,Hub\n")
        await wait_for_names(stores, {"Axis", "Hub", "Brake"})
        (folder / "first.csv").unlink()
        await wait_for_names(stores, {"Brake"})
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 130
    finally:
        with suppress(ProcessLookupError):
            process.kill()


async def wait_for_names(stores: StoreClients, names: set[str]) -> None:
    query = "SELECT title FROM records WHERE starts_with(id, 'files/')"
    seen: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(40):
            while seen != names:
                with suppress(asyncpg.UndefinedTableError):
                    seen = {row["title"] for row in await stores.postgres.fetch(query)}
                await asyncio.sleep(0.1)
    assert seen == names
