"""The semantic cache beside GPTCache and RedisVL: precision at equal recall, traps, lookup time.

Quality: every original question of the pairs is stored, every paraphrase is asked, on the same
vectors. A hit is right when it is the paraphrase's own original. Traps: near misses that must not
hit at the default threshold of 0.95. Lookup: the paraphrase of a stored question, by vector, at
1,000, 10,000 and 100,000 entries (--sizes).

    uv run --group bench python -m benchmarks.cache [--pairs FILE] [--limit 2000] [--json FILE]

FILE is JSON, gzipped or not: a list of {"origin": …, "similar": …}.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis

from benchmarks.cache_peers import Found, Peer, Vectors, available
from benchmarks.cache_traps import Trap, traps
from benchmarks.redis_process import RedisProcess
from router.cache import CacheLimits, Entry, Scope, SemanticCache
from router.embedding import LocalEmbedder

PAIRS = Path(__file__).parents[2] / "shared" / "data" / "routing" / "qqp_pairs.json.gz"
RECALLS = tuple(percent / 100 for percent in range(5, 45, 5))
SCOPE = Scope("bench", "control", 10)
LOOKUPS = 200


class Ours:
    """Sluice's cache, with the threshold as low as it gets, so that the curve can be drawn."""

    name = "Sluice"

    def __init__(self, threshold: float = 0.0) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()
        self._server = RedisProcess(Path(self._folder.name))
        self._redis = Redis.from_url(self._server.url)
        self._cache = SemanticCache(
            self._redis, "bench", CacheLimits(threshold=threshold, entries=1_000_000)
        )

    def fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        self._loop.run_until_complete(self._fill(questions, vectors))

    async def _fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        for question, vector in zip(questions, vectors, strict=True):
            await self._cache.put(SCOPE, Entry(question, {}, ""), vector, [])

    def nearest(self, question: str, vector: Vectors) -> tuple[str, float] | None:
        found = self._loop.run_until_complete(self._cache.similar(SCOPE, question, vector))
        return (found.query, found.likeness) if found else None

    def timed(self, questions: Sequence[str], vectors: Vectors) -> tuple[list[float], list[Found]]:
        return self._loop.run_until_complete(self._timed(questions, vectors))

    async def _timed(
        self, questions: Sequence[str], vectors: Vectors
    ) -> tuple[list[float], list[Found]]:
        times, answers = [], []
        for question, vector in zip(questions, vectors, strict=True):
            started = time.perf_counter()
            found = await self._cache.similar(SCOPE, question, vector)
            times.append((time.perf_counter() - started) * 1000)
            answers.append((found.query, found.likeness) if found else None)
        return times, answers

    def close(self) -> None:
        self._loop.run_until_complete(self._redis.aclose())
        self._loop.close()
        self._server.kill()
        self._folder.cleanup()


def curve(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, float]:
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


def quality(
    cache: Peer, pairs: Sequence[dict[str, str]], stored: Vectors, asked: Vectors
) -> dict[str, float]:
    """Fill, ask everything, draw the curve."""
    cache.fill([pair["origin"] for pair in pairs], stored)
    answers = [
        cache.nearest(pair["similar"], vector) for pair, vector in zip(pairs, asked, strict=True)
    ]
    scores = np.array([answer[1] if answer else -1.0 for answer in answers])
    right = np.array(
        [
            answer is not None and answer[0] == pair["origin"]
            for answer, pair in zip(answers, pairs, strict=True)
        ]
    )
    return curve(scores, right)


def trapped(
    make: Callable[[], Peer], embedder: LocalEmbedder, threshold: float = 0.95
) -> list[str]:
    """The traps that get an answer at ``threshold``; no right answer is ever in the cache."""
    wrong = []
    for group in apart(traps()):
        stored = list(dict.fromkeys(trap.stored for trap in group))
        with closing(make()) as cache:
            cache.fill(stored, embedder.embed(stored))
            for trap, vector in zip(group, embedder.embed([t.asked for t in group]), strict=True):
                answer = cache.nearest(trap.asked, vector)
                if answer and answer[1] >= threshold:
                    wrong.append(f"{trap.asked} <- {answer[0]} ({answer[1]:.3f})")
    return wrong


def apart(found: Sequence[Trap]) -> list[list[Trap]]:
    """Groups in which nobody asks what another one has stored."""
    groups: list[list[Trap]] = []
    for trap in found:
        for group in groups:
            if all(trap.asked != one.stored and trap.stored != one.asked for one in group):
                group.append(trap)
                break
        else:
            groups.append([trap])
    return groups


def lookup(cache: Peer, size: int) -> dict[str, float]:
    """Milliseconds of a lookup that finds its question, p50 and p99."""
    random = np.random.default_rng(size)
    vectors = random.standard_normal((size, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cache.fill([f"where is item {number} kept" for number in range(size)], vectors)
    asked = random.integers(0, size, LOOKUPS)
    questions = [f"please tell me where is item {number} kept" for number in asked]
    times, answers = cache.timed(questions, vectors[asked])
    for number, answer in zip(asked, answers, strict=True):
        assert answer is not None
        assert answer[0] == f"where is item {number} kept"
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": round(cuts[49], 3), "p99_ms": round(cuts[98], 3)}


def read_pairs(path: Path, limit: int) -> list[dict[str, str]]:
    """Pairs of different questions with an original of their own, in a fixed order."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    pairs = list({pair["origin"]: pair for pair in json.loads(content)}.values())
    order = np.random.default_rng(1).permutation(len(pairs))[:limit]
    return [pairs[place] for place in order]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    peers, missing = available()
    for name in missing:
        print(f"left out, not installed: {name}", file=sys.stderr)
    result: dict[str, Any] = {"traps": len(traps()), "wrong": {}, "precision": {}, "lookup": {}}
    embedder = LocalEmbedder(recent=1)
    makers: list[Callable[[], Peer]] = [Ours, *peers]
    pairs = read_pairs(options.pairs, options.limit) if options.pairs.exists() else []
    if not pairs:
        print(f"no pairs at {options.pairs}: precision is not measured", file=sys.stderr)
    stored = embedder.embed([pair["origin"] for pair in pairs])
    asked = embedder.embed([pair["similar"] for pair in pairs])
    for make in makers:
        with closing(make()) as cache:
            name = cache.name
        result["wrong"][name] = trapped(make, embedder)
        if pairs:
            with closing(make()) as cache:
                result["precision"][name] = quality(cache, pairs, stored, asked)
        result["lookup"][name] = {}
        for size in options.sizes:
            with closing(make()) as cache:
                result["lookup"][name][str(size)] = lookup(cache, size)
        print(f"measured {name}", file=sys.stderr)
    return result


def headline(result: dict[str, Any]) -> str:
    """One line: the worst lead in precision, wrong hits, and who was fastest where."""
    ours = Ours.name
    peers = [name for name in result["wrong"] if name != ours]
    parts = [
        f"{result['traps']} traps, wrong hits: { ({n: len(w) for n, w in result['wrong'].items()}) }"
    ]
    if result["precision"] and peers:
        lead = min(
            result["precision"][ours][recall] - result["precision"][name][recall]
            for name in peers
            for recall in result["precision"][ours]
        )
        parts.append(f"smallest lead in precision at recall 5 to 40 %: {lead:+.3f}")
    for size, figures in result["lookup"][ours].items():
        best = min((result["lookup"][name][size]["p50_ms"] for name in peers), default=None)
        parts.append(f"{size} entries: {figures['p50_ms']} ms p50 (best peer {best})")
    return "; ".join(parts)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=Path, default=PAIRS)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(headline(result))


if __name__ == "__main__":
    main()
