"""Collections of another embedding model: by meaning where it answers, else by words, and it is named."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, models

from router.backends.base import SearchRequest
from router.backends.point_search import PointSearch
from router.catalog.model import Catalog, CatalogColumn, CatalogKind
from router.catalog_search.discovery import discover
from router.catalog_search.form_search import FormResult
from router.catalog_search.stores import collection_embedders, open_openai
from router.catalog_search.text_search import TextSearch
from router.llm import LLMSettings
from router.settings import StoreSettings
from router.store_clients import open_point_search

pytestmark = pytest.mark.integration
MODEL, DIMENSION = "openai:text-embedding-3-small", 16
TEXTS = ("How to return goods for money", "Opening hours of the shop", "Refund of a voucher")
MEANINGS = {"refund": "return goods", "money back": "return goods", TEXTS[0]: "return goods"}


def _vector(text: str) -> list[float]:
    """Return one axis for a meaning: equal meanings are near, others are not."""
    digest = hashlib.sha256(MEANINGS.get(text, text).encode()).digest()
    return [1.0 if place == digest[0] % DIMENSION else 0.01 for place in range(DIMENSION)]


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request in the form of OpenAI's embeddings."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength:" in line)
    request = json.loads(await reader.readexactly(length))
    assert (request["model"], request["dimensions"]) == ("text-embedding-3-small", DIMENSION)
    rows = [{"index": n, "embedding": _vector(text)} for n, text in enumerate(request["input"])]
    body = json.dumps({"object": "list", "data": rows, "model": request["model"]}).encode()
    header = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    writer.write(f"{header}\r\nconnection: close\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


@asynccontextmanager
async def model_server(*, hangs: bool = False) -> AsyncIterator[str]:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)
        await reader.read()

    waiting: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(hang if hangs else _answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for writer in waiting:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def helpdesk(qdrant_url: str) -> AsyncIterator[tuple[str, PointSearch, CatalogKind]]:
    """Fill a collection of another model's vectors; return its name, its server and its kind."""
    name = f"helpdesk-{uuid.uuid4().hex}"
    client = AsyncQdrantClient(url=qdrant_url, check_compatibility=False)
    config = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
    await client.create_collection(name, vectors_config=config)
    rows = [
        models.PointStruct(id=n, vector=_vector(text), payload={"body": text})
        for n, text in enumerate(TEXTS, 1)
    ]
    await client.upsert(name, points=rows, wait=True)
    searches = open_point_search(qdrant_url)
    kind = CatalogKind(
        store="qdrant",
        source=name,
        key=("id",),
        text=("body",),
        embedding=MODEL,
        dimension=DIMENSION,
        columns={"body": CatalogColumn(type="text")},
    )
    yield name, searches, kind
    await searches.close()
    await client.delete_collection(name)
    await client.close()


async def _search(
    helpdesk: tuple[str, PointSearch, CatalogKind], query: str, url: str | None
) -> FormResult:
    _, searches, kind = helpdesk
    catalog = Catalog(kinds={"helpdesk": kind})
    llm = LLMSettings(openai_api_key="none" if url else None, openai_base_url=url)
    client = open_openai(catalog, llm)
    vector = np.ones(384, dtype=np.float32)
    request = SearchRequest(query, vector, "semantic", 2, date(2025, 6, 16))
    try:
        embedders = collection_embedders(catalog, client) if client else {}
        return await TextSearch(searches, catalog, embedders).search(request)
    finally:
        if client is not None:
            client.close()


async def test_a_model_that_answers_finds_the_meaning(
    helpdesk: tuple[str, PointSearch, CatalogKind],
) -> None:
    async with model_server() as url:
        found = await _search(helpdesk, "money back", url)
    assert found.hits[0].text == TEXTS[0]
    assert found.left_out == ()


@pytest.mark.parametrize("model", ["no key", "away", "hangs", "not named"])
async def test_without_the_model_words_are_searched_and_it_is_named(
    helpdesk: tuple[str, PointSearch, CatalogKind], model: str
) -> None:
    """The exact word is found, and the answer does not claim to know the meaning."""
    if model == "not named":
        name, searches, kind = helpdesk
        helpdesk = name, searches, kind.model_copy(update={"embedding": None})
    async with model_server(hangs=model == "hangs") as url:
        address = {"no key": None, "away": "http://127.0.0.1:9/v1"}.get(model, url)
        found = await _search(helpdesk, "refund", address)
    assert [hit.text for hit in found.hits] == [TEXTS[2]]
    expected = "does not name the model" if model == "not named" else MODEL
    assert expected in found.left_out[0]
    assert "searched by words" in found.left_out[0]


async def test_discovery_does_not_guess_another_model(
    helpdesk: tuple[str, PointSearch, CatalogKind], qdrant_url: str
) -> None:
    away = replace(
        StoreSettings(), postgres_dsn="postgresql://127.0.0.1:9/x", qdrant_url=qdrant_url
    )
    found = await discover(replace(away, neo4j_uri="bolt://127.0.0.1:9"), lambda *_: None)
    kind = next(each for each in found.kinds.values() if each.source == helpdesk[0])
    assert (kind.embedding, kind.dimension) == (None, DIMENSION)
