"""Records into all stores, idempotent by record id: a node, a row and a point for each.

Ingesting a record again replaces its text, attributes and outgoing links. Records that are not
given stay as they are.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from router.backends.dialect import detect_dialect, refresh_indexes
from router.backends.tokenization import MAX_NAME_CHARS, fold, is_identifier
from router.backends.vector_store import VectorPoint, VectorStore
from router.embedding import Embedder
from router.knowledge.batching import batches
from router.knowledge.record_validation import parse_occurred_on, validate_record
from router.knowledge.records import Link, Record
from router.store_clients import StoreClients

BATCH = 100

MERGE_RECORDS: LiteralString = (
    "UNWIND $rows AS row MERGE (r:SluiceRecord {id: row.id}) SET r = row.properties"
)
DELETE_RECORDS: LiteralString = "MATCH (r:SluiceRecord) WHERE r.id IN $ids DETACH DELETE r"
DELETE_LINKS: LiteralString = (
    "MATCH (r:SluiceRecord)-[l]->(:SluiceRecord) WHERE r.id IN $ids DELETE l"
)
DELETE_NAMES: LiteralString = (
    "MATCH (:SluiceName)-[l:NAMES]->(r:SluiceRecord) WHERE r.id IN $ids DELETE l"
)
MERGE_NAMES: LiteralString = (
    "UNWIND $rows AS row MATCH (r:SluiceRecord {id: row.id}) "
    "MERGE (n:SluiceName {key: row.key}) MERGE (n)-[:NAMES]->(r)"
)
UPSERT_ROW = """
    INSERT INTO records (id, kind, title, text, source, occurred_on, attributes)
    VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb)
    ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, title = excluded.title,
        text = excluded.text, source = excluded.source, occurred_on = excluded.occurred_on,
        attributes = excluded.attributes
"""


@dataclass(frozen=True, slots=True)
class WriteSummary:
    """The result of a write. ``dangling`` links point to records that no store has."""

    records: int
    links: int
    dangling: int


async def ingest_records(
    records: Iterable[Record], stores: StoreClients, embedder: Embedder
) -> WriteSummary:
    """Write all records. Raises InvalidRecordError before anything is written; driver errors as they are."""
    everything = list({record.id: record for record in records}.values())
    for record in everything:
        validate_record(record)
    await prepare_stores(stores)
    for batch in batches(everything, BATCH):
        await write_batch(stores, batch, await embed_batch(batch, embedder))
    # Links last: both ends must exist.
    link_count = 0
    for batch in batches(everything, BATCH):
        link_count += await make_links(stores, {record.id: record.links for record in batch})
    expected_count = sum(len(record.links) for record in everything)
    await wait_for_indexes(stores)
    return WriteSummary(len(everything), link_count, expected_count - link_count)


async def prepare_stores(stores: StoreClients) -> None:
    """Indexes, constraints, tables and the collection; harmless when they are there."""
    await _gather_all(
        _create_graph_schema(stores), _create_table(stores), stores.vectors.ensure_collection()
    )


async def embed_batch(records: list[Record], embedder: Embedder) -> list[list[float]]:
    """Embed the title and text of each record."""
    texts = [f"{record.title}. {record.text}" for record in records]
    vectors = await asyncio.to_thread(embedder.embed, texts) if texts else ()
    return [vector.tolist() for vector in vectors]


async def write_batch(
    stores: StoreClients, records: list[Record], vectors: list[list[float]]
) -> None:
    """Write one batch, validated before, into every store. Its earlier links go, new ones come later."""
    await _gather_all(
        _write_graph_nodes(stores, records, vectors),
        _write_rows(stores, records),
        _write_points(stores.vectors, records, vectors),
    )


async def wait_for_indexes(stores: StoreClients) -> None:
    """After the last write: the graph's indexes know of it, before anybody asks."""
    dialect = await detect_dialect(stores.neo4j, stores.neo4j_database)
    await refresh_indexes(stores.neo4j, stores.neo4j_database, dialect)


async def _gather_all(*works: Awaitable[None]) -> None:
    """Wait for each, then raise the first error: no store is still written to after it."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def delete_records(stores: StoreClients, ids: Sequence[str]) -> None:
    """Take records out of every store."""
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        await (await session.run(DELETE_RECORDS, ids=list(ids))).consume()
    await stores.postgres.execute("DELETE FROM records WHERE id = ANY($1::text[])", list(ids))
    await stores.vectors.delete(ids)


def search_names(record: Record) -> list[str]:
    """Folded names a question may use: the id, the title, the title without its kind, numbers."""
    title = record.title.split(":", 1)[0]
    names = {fold(record.local_id or record.id), fold(record.title), fold(title)}
    words = fold(title).split()
    if len(words) > 1 and words[0] == record.kind.lower():
        names.add(" ".join(words[1:]))
    names |= {word for word in words if is_identifier(word)}
    names |= {fold(alias) for alias in str(record.attributes.get("aliases", "")).split(",")}
    return sorted(name for name in names if 0 < len(name) <= MAX_NAME_CHARS)


async def _create_graph_schema(stores: StoreClients) -> None:
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        for statement in (await detect_dialect(stores.neo4j, stores.neo4j_database)).schema:
            await (await session.run(statement)).consume()


async def _create_table(stores: StoreClients) -> None:
    await stores.postgres.execute(
        files("router.backends").joinpath("schema.sql").read_text("utf-8")
    )


async def _write_graph_nodes(
    stores: StoreClients, batch: list[Record], vectors: list[list[float]]
) -> None:
    extra: dict[str, dict[str, Any]] = {}
    if (await detect_dialect(stores.neo4j, stores.neo4j_database)).stores_vectors:
        pairs = zip(batch, vectors, strict=True)
        extra = {record.id: {"embedding": vector} for record, vector in pairs}
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        await session.execute_write(_write_nodes, batch, extra)


async def _write_nodes(
    tx: AsyncManagedTransaction, batch: list[Record], extra: Mapping[str, Mapping[str, Any]]
) -> None:
    rows = [{"id": r.id, "properties": {**_properties(r), **extra.get(r.id, {})}} for r in batch]
    await _run(tx, MERGE_RECORDS, rows=rows)
    ids = [record.id for record in batch]
    await _run(tx, DELETE_LINKS, ids=ids)
    await _run(tx, DELETE_NAMES, ids=ids)
    names = [{"id": record.id, "key": key} for record in batch for key in search_names(record)]
    await _run(tx, MERGE_NAMES, rows=names)


def _merge_links_statement(kind: str) -> LiteralString:
    """Relationship types can't be parameters; validation admitted letters, digits and _ only."""
    return (
        "UNWIND $rows AS row MATCH (a:SluiceRecord {id: row.source}) MATCH (b:SluiceRecord {id: row.target}) "
        f"MERGE (a)-[l:`{kind}`]->(b) RETURN count(l) AS made"
    )


def _properties(record: Record) -> dict[str, Any]:
    return {**record.attributes, **_payload(record)}


async def _run(tx: AsyncManagedTransaction, cypher: LiteralString, **params: object) -> None:
    await (await tx.run(cypher, params)).consume()


async def make_links(stores: StoreClients, links: Mapping[str, Sequence[Link]]) -> int:
    """Make links from records, by id. Return how many found their other end."""
    by_kind: dict[str, list[dict[str, str]]] = defaultdict(list)
    for record_id, outgoing in links.items():
        for link in dict.fromkeys(outgoing):
            by_kind[link.kind.upper()].append({"source": record_id, "target": link.target})
    if not by_kind:
        return 0
    async with stores.neo4j.session(database=stores.neo4j_database) as session:
        return await session.execute_write(_merge_links, by_kind)


async def _merge_links(
    tx: AsyncManagedTransaction, by_kind: Mapping[str, list[dict[str, str]]]
) -> int:
    link_count = 0
    for kind, rows in by_kind.items():
        result = await tx.run(_merge_links_statement(kind), {"rows": rows})
        answer = await result.single()
        link_count += int(answer["made"]) if answer else 0
    return link_count


async def _write_rows(stores: StoreClients, batch: list[Record]) -> None:
    rows = [
        (r.id, r.kind, r.title, r.text, r.source, parse_occurred_on(r), _attributes_json(r))
        for r in batch
    ]
    await stores.postgres.executemany(UPSERT_ROW, rows)


def _attributes_json(record: Record) -> str:
    return json.dumps(record.attributes, ensure_ascii=False)


async def _write_points(
    store: VectorStore, batch: list[Record], vectors: list[list[float]]
) -> None:
    pairs = zip(batch, vectors, strict=True)
    await store.upsert(
        [VectorPoint(record.id, vector, _payload(record)) for record, vector in pairs]
    )


def _payload(record: Record) -> dict[str, Any]:
    day = parse_occurred_on(record)
    return {
        "id": record.id,
        "kind": record.kind,
        "title": record.title,
        "text": record.text,
        "source": record.source,
        "occurred_on": day.isoformat() if day else None,
    }
