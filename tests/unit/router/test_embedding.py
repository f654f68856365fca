"""Sentence vectors: same text, same vector, for any caller and any batch."""

import asyncio
import ctypes
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from router.embedding import EmbeddingError, LocalEmbedder, OpenAIEmbedder
from tests.lazy_import import LazyModule

openai = LazyModule("openai")


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    return LocalEmbedder()


def test_vectors_have_length_one_and_the_stated_shape(local: LocalEmbedder) -> None:
    vectors = local.embed(["late parcels", "", "x" * 5000, "日本語 ∑"])
    assert vectors.shape == (4, local.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_what_loading_the_model_freed_is_not_kept() -> None:
    """An ingestion has a bound of 500 MB, and the model's file alone would take a tenth of it."""
    embedder = LocalEmbedder(cache_size=0)
    before = _resident_mib()
    ctypes.CDLL(None).malloc_trim(0)
    assert before - _resident_mib() < 20
    assert embedder.dimension == 384


def test_no_texts_give_no_rows(local: LocalEmbedder) -> None:
    assert local.embed([]).shape == (0, local.dimension)


def test_a_batch_gives_each_text_its_own_vector_in_order(local: LocalEmbedder) -> None:
    texts = [f"question {number} " + "and more " * (number % 7) for number in range(20)]
    alone = np.vstack([LocalEmbedder(cache_size=0).embed([text]) for text in texts[:4]])
    assert local.embed(texts)[:4] == pytest.approx(alone, abs=1e-5)
    assert (local.embed([*texts, texts[0]])[-1] == local.embed([texts[0]])[0]).all()


def test_meaning_decides_nearness(local: LocalEmbedder) -> None:
    question, near, far = local.embed(
        ["which lorries are late", "trucks behind schedule", "the history of jazz music"]
    )
    assert question @ near > question @ far + 0.2


def test_threads_get_the_same_vectors() -> None:
    shared = LocalEmbedder(cache_size=8)
    texts = [f"shipment {number}" for number in range(40)]
    expected = LocalEmbedder(cache_size=0).embed(texts)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: shared.embed(texts), range(8)):
            assert vectors == pytest.approx(expected, abs=1e-5)


class _Endpoint(BaseHTTPRequestHandler):
    """OpenAI's embedding endpoint: rows out of order, vectors of length five."""

    width = 3

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        rows = [
            {"object": "embedding", "index": at, "embedding": [3.0, 4.0, 0.0][: self.width]}
            for at, _ in enumerate(request["input"])
        ]
        body = json.dumps({"object": "list", "model": "m", "data": rows[::-1]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


async def test_openai_vectors_are_made_length_one(endpoint: str) -> None:
    with openai.OpenAI(api_key="k", base_url=endpoint) as client:
        embedder = OpenAIEmbedder(client, dimension=3)
        vectors = await asyncio.to_thread(embedder.embed, ["a", "b", "a"])
    assert vectors == pytest.approx(np.array([[0.6, 0.8, 0.0]] * 3))


def test_openai_vectors_of_another_size_are_refused(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Endpoint, "width", 2)
    with (
        openai.OpenAI(api_key="k", base_url=endpoint) as client,
        pytest.raises(EmbeddingError, match=r"shape \(1, 2\)"),
    ):
        OpenAIEmbedder(client, dimension=3).embed(["a"])


def test_openai_not_answering_is_an_embedding_error() -> None:
    with (
        openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1") as client,
        pytest.raises(EmbeddingError, match="failed"),
    ):
        OpenAIEmbedder(client, dimension=3, timeout=0.2).embed(["a"])
