"""The semantic cache beside GPTCache and RedisVL: precision at equal recall, traps, lookup time.

Quality: every original question of the pairs is stored, every paraphrase is looked up by its vector, the
same for all. A hit is right when it is the paraphrase's own original; paraphrases that are themselves
another pair's original are left out, for nobody can be blamed for finding those. The best-scored answers
are taken until a recall is reached; beside it, how many hits each cache has at its threshold of 0.95, as
it is used (ours: the question's core first), and how many of them are right. Traps: near misses that
must not hit at that threshold, and polite forms that may. Lookup: a polite form
of a stored question, by a vector beside its own (cosine 0.98), at 1,000, 10,000 and 100,000 entries
(--sizes); the caches take turns, so that what else the machine does meets all of them.

    uv run --all-extras --group bench python -m benchmarks.cache [--pairs FILE] [--limit 2000] [--json FILE]

FILE is JSON, gzipped or not: a list of {"origin": …, "similar": …}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis

from benchmarks.support.cache_near_misses import NearMiss, near_misses, paraphrases
from benchmarks.support.cache_pairs import percentiles, read_pairs, unit_vectors
from benchmarks.support.cache_peers import (
    FILL_CONCURRENCY,
    CacheFactory,
    NearestQuestion,
    Vectors,
    available_peers,
)
from benchmarks.support.redis_process import RedisProcess
from router.cache import CacheEntry, CacheLimits, CacheScope, SemanticCache
from router.embedding import LocalEmbedder

PAIRS = Path(__file__).parents[2] / "shared" / "data" / "routing" / "qqp_pairs.json.gz"
RECALLS = tuple(percent / 100 for percent in range(5, 45, 5))
SCORES = (0.95, 0.9, 0.8, 0.7, 0.6)
SCOPE = CacheScope("bench", "control", 10)
DEFAULT_THRESHOLD = 0.95
LOOKUPS = 1000
DIRECTION_COUNT = 64
NOISE_LENGTH = 0.2  # length of the noise on a vector of length one


class SluiceCache:
    """Sluice's cache, with the threshold as low as it gets, so that the curve can be drawn."""

    name = "Sluice"

    def __init__(self, threshold: float = 0.0) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()
        self._server = RedisProcess(Path(self._folder.name))
        self._redis = Redis.from_url(self._server.url, socket_timeout=60, socket_connect_timeout=60)
        self._cache = SemanticCache(
            self._redis, "bench", CacheLimits(threshold=threshold, entries_max=1_000_000)
        )

    def fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        self._loop.run_until_complete(self._fill(questions, vectors))

    async def _fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        for start in range(0, len(questions), FILL_CONCURRENCY):
            part = slice(start, start + FILL_CONCURRENCY)
            rows = zip(questions[part], vectors[part], strict=True)
            await asyncio.gather(
                *(self._cache.put(SCOPE, CacheEntry(text, {}, ""), row, []) for text, row in rows)
            )

    def nearest(self, question: str, vector: Vectors) -> tuple[str, float] | None:
        found = self._loop.run_until_complete(self._nearest(question, vector))
        return (found.query, found.similarity) if found else None

    async def _nearest(self, question: str, vector: Vectors) -> CacheEntry | None:
        """As the router asks: first by the question's core."""
        exact = await self._cache.find_exact(SCOPE, question)
        return exact or await self._cache.find_similar(SCOPE, question, vector)

    def time_lookups(
        self, questions: Sequence[str], vectors: Vectors
    ) -> tuple[list[float], list[NearestQuestion]]:
        return self._loop.run_until_complete(self._time_lookups(questions, vectors))

    async def _time_lookups(
        self, questions: Sequence[str], vectors: Vectors
    ) -> tuple[list[float], list[NearestQuestion]]:
        times, answers = [], []
        for question, vector in zip(questions, vectors, strict=True):
            started = time.perf_counter()
            found = await self._cache.find_similar(SCOPE, question, vector)
            times.append((time.perf_counter() - started) * 1000)
            answers.append((found.query, found.similarity) if found else None)
        return times, answers

    def close(self) -> None:
        self._loop.run_until_complete(self._redis.aclose())
        self._loop.close()
        self._server.kill()
        self._folder.cleanup()


def precision_curve(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, float]:
    """Precision at each recall, over the best-scored answers; 0 where the recall isn't reached."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(order) + 1)
    reached = hits / len(scores)
    return {
        f"{recall:.2f}": round(float(precision[np.argmax(reached >= recall)]), 4)
        if reached[-1] >= recall
        else 0.0
        for recall in RECALLS
    }


def hits_by_score(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Share of questions that score so high, and how many of these are right."""
    found = {f"{score:.2f}": right[scores >= score] for score in SCORES}
    return {
        score: [round(hits.size / right.size, 4), round(float(hits.mean()), 4)]
        for score, hits in found.items()
        if hits.size
    }


def measure_quality(
    make: CacheFactory, pairs: Sequence[dict[str, str]], stored: Vectors, queries: Vectors
) -> dict[str, dict[str, Any]]:
    """Fill, look everything up: the curve, its scores, and what the default threshold lets through."""
    originals = [pair["origin"] for pair in pairs]
    with closing(make(0.0)) as cache:
        cache.fill(originals, stored)
        _, answers = cache.time_lookups([pair["similar"] for pair in pairs], queries)
    scores = np.array([answer[1] if answer else -1.0 for answer in answers])
    with closing(make(DEFAULT_THRESHOLD)) as cache:
        cache.fill(originals, stored)
        hits = [
            cache.nearest(pair["similar"], row) for pair, row in zip(pairs, queries, strict=True)
        ]
    found = sum(hit is not None for hit in hits)
    used = {"hits": found / len(pairs), "right": sum(_are_correct(hits, pairs)) / max(found, 1)}
    right = np.array(_are_correct(answers, pairs))
    return {
        "precision": precision_curve(scores, right),
        "levels": hits_by_score(scores, right),
        "default": used,
    }


def _are_correct(answers: Sequence[NearestQuestion], pairs: Sequence[dict[str, str]]) -> list[bool]:
    return [
        answer is not None and answer[0] == pair["origin"]
        for answer, pair in zip(answers, pairs, strict=True)
    ]


def near_miss_hits(
    make: CacheFactory, embedder: LocalEmbedder, pairs: Sequence[NearMiss]
) -> list[str]:
    """Return the answered questions at the default threshold; an answered trap is always wrong."""
    hits = []
    for group in disjoint_groups(pairs):
        stored = list(dict.fromkeys(trap.stored for trap in group))
        with closing(make(DEFAULT_THRESHOLD)) as cache:
            cache.fill(stored, embedder.embed(stored))
            for trap, vector in zip(group, embedder.embed([t.query for t in group]), strict=True):
                answer = cache.nearest(trap.query, vector)
                if answer:
                    hits.append(f"{trap.query} <- {answer[0]} ({answer[1]:.3f})")
    return hits


def disjoint_groups(pairs: Sequence[NearMiss]) -> list[list[NearMiss]]:
    """Split into groups without equivalent questions across groups."""
    groups: list[list[NearMiss]] = []
    for trap in pairs:
        for group in groups:
            if all(trap.query != one.stored and trap.stored != one.query for one in group):
                group.append(trap)
                break
        else:
            groups.append([trap])
    return groups


def measure_lookups(makers: Sequence[CacheFactory], size: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a lookup, p50 and p99, and the share that found its question, by cache."""
    random = np.random.default_rng(size)
    # As sentences' do, they vary in fewer directions than they have numbers.
    directions = random.standard_normal((DIRECTION_COUNT, 384), dtype=np.float32)
    vectors = unit_vectors(
        random.standard_normal((size, DIRECTION_COUNT), dtype=np.float32) @ directions
    )
    asked = random.integers(0, size, LOOKUPS)
    beside = unit_vectors(random.standard_normal((LOOKUPS, 384), dtype=np.float32))
    near = unit_vectors(vectors[asked] + np.float32(NOISE_LENGTH) * beside)
    with ExitStack() as stack:
        caches = [stack.enter_context(closing(make(DEFAULT_THRESHOLD))) for make in makers]
        for cache in caches:
            cache.fill([f"where is item {number} kept" for number in range(size)], vectors)
        times: dict[str, list[float]] = {cache.name: [] for cache in caches}
        found = dict.fromkeys(times, 0)
        for number, vector in zip(asked, near, strict=True):
            for cache in caches:
                question = f"please tell me where is item {number} kept"
                took, (answer,) = cache.time_lookups([question], vector[np.newaxis])
                right = answer is not None and answer[0] == f"where is item {number} kept"
                found[cache.name] += right
                times[cache.name] += took
    return {
        name: percentiles(took) | {"found": found[name] / LOOKUPS} for name, took in times.items()
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    peers, missing = available_peers()
    for name in missing:
        print(f"left out, not installed: {name}", file=sys.stderr)
    makers: list[CacheFactory] = [SluiceCache, *peers]
    return {
        "load": os.getloadavg()[0],
        **compare_quality(options, makers),
        "lookup": {str(size): measure_lookups(makers, size) for size in options.sizes},
    }


def compare_quality(options: argparse.Namespace, makers: Sequence[CacheFactory]) -> dict[str, Any]:
    """Precision at each recall, wrong hits of traps and hits of polite forms, by cache."""
    embedder = LocalEmbedder(cache_size=8192)
    pairs = read_pairs(options.pairs, options.limit) if options.pairs.exists() else []
    if not pairs:
        print(f"no pairs at {options.pairs}: precision is not measured", file=sys.stderr)
    stored = embedder.embed([pair["origin"] for pair in pairs])
    asked = embedder.embed([pair["similar"] for pair in pairs])
    result: dict[str, Any] = {
        "pairs": len(pairs),
        "traps": len(near_misses()),
        "polite": len(paraphrases()),
    }
    result |= {"wrong": {}, "same": {}, "precision": {}, "levels": {}, "default": {}}
    for make in makers:
        with closing(make(DEFAULT_THRESHOLD)) as cache:
            name = cache.name
        if pairs:
            for figure, found in measure_quality(make, pairs, stored, asked).items():
                result[figure][name] = found
        result["wrong"][name] = near_miss_hits(make, embedder, near_misses())
        result["same"][name] = len(near_miss_hits(make, embedder, paraphrases()))
        print(f"judged {name}", file=sys.stderr)
    return result


def format_figures(result: dict[str, Any]) -> str:
    """Return the figures as lines of a table."""
    wrong = {name: len(hits) for name, hits in result["wrong"].items()}
    lines = [
        f"{result['pairs']} pairs, {result['traps']} traps, load {result['load']:.1f}",
        f"wrong hits of traps: {wrong}",
        f"hits of {result['polite']} polite forms: {result['same']}",
        *(f"precision of {name}: {curve}" for name, curve in result["precision"].items()),
        *(
            f"[hits, right] of {name} from a score: {found}"
            for name, found in result["levels"].items()
        ),
        *(f"{name} at 0.95: {figures}" for name, figures in result["default"].items()),
        *(f"lookup at {size}: {figures}" for size, figures in result["lookup"].items()),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=Path, default=PAIRS)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), "utf-8")
    print(format_figures(result))


if __name__ == "__main__":
    main()
