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
import gzip
import json
import os
import statistics
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

from benchmarks.cache_peers import AT_ONCE, Found, Make, Vectors, available
from benchmarks.cache_traps import Trap, same, traps
from benchmarks.redis_process import RedisProcess
from router.cache import CacheLimits, Entry, Scope, SemanticCache
from router.embedding import LocalEmbedder

PAIRS = Path(__file__).parents[2] / "shared" / "data" / "routing" / "qqp_pairs.json.gz"
RECALLS = tuple(percent / 100 for percent in range(5, 45, 5))
SCORES = (0.95, 0.9, 0.8, 0.7, 0.6)
SCOPE = Scope("bench", "control", 10)
DEFAULT = 0.95
LOOKUPS = 1000
VARIED = 64
BESIDE = 0.2  # length of the noise on a vector of length one


class Ours:
    """Sluice's cache, with the threshold as low as it gets, so that the curve can be drawn."""

    name = "Sluice"

    def __init__(self, threshold: float = 0.0) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()
        self._server = RedisProcess(Path(self._folder.name))
        self._redis = Redis.from_url(self._server.url, socket_timeout=60, socket_connect_timeout=60)
        self._cache = SemanticCache(
            self._redis, "bench", CacheLimits(threshold=threshold, entries=1_000_000)
        )

    def fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        self._loop.run_until_complete(self._fill(questions, vectors))

    async def _fill(self, questions: Sequence[str], vectors: Vectors) -> None:
        for start in range(0, len(questions), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            rows = zip(questions[part], vectors[part], strict=True)
            await asyncio.gather(
                *(self._cache.put(SCOPE, Entry(text, {}, ""), row, []) for text, row in rows)
            )

    def nearest(self, question: str, vector: Vectors) -> tuple[str, float] | None:
        found = self._loop.run_until_complete(self._nearest(question, vector))
        return (found.query, found.likeness) if found else None

    async def _nearest(self, question: str, vector: Vectors) -> Entry | None:
        """As the router asks: first by the question's core."""
        exact = await self._cache.exact(SCOPE, question)
        return exact or await self._cache.similar(SCOPE, question, vector)

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


def levels(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Share of questions that score so high, and how many of these are right."""
    found = {f"{score:.2f}": right[scores >= score] for score in SCORES}
    return {
        score: [round(hits.size / right.size, 4), round(float(hits.mean()), 4)]
        for score, hits in found.items()
        if hits.size
    }


def quality(
    make: Make, pairs: Sequence[dict[str, str]], stored: Vectors, asked: Vectors
) -> dict[str, dict[str, Any]]:
    """Fill, look everything up: the curve, its scores, and what the default threshold lets through."""
    originals = [pair["origin"] for pair in pairs]
    with closing(make(0.0)) as cache:
        cache.fill(originals, stored)
        _, answers = cache.timed([pair["similar"] for pair in pairs], asked)
    scores = np.array([answer[1] if answer else -1.0 for answer in answers])
    with closing(make(DEFAULT)) as cache:
        cache.fill(originals, stored)
        hits = [cache.nearest(pair["similar"], row) for pair, row in zip(pairs, asked, strict=True)]
    found = sum(hit is not None for hit in hits)
    used = {"hits": found / len(pairs), "right": sum(_right(hits, pairs)) / max(found, 1)}
    right = np.array(_right(answers, pairs))
    return {"precision": curve(scores, right), "levels": levels(scores, right), "default": used}


def _right(answers: Sequence[Found], pairs: Sequence[dict[str, str]]) -> list[bool]:
    return [
        answer is not None and answer[0] == pair["origin"]
        for answer, pair in zip(answers, pairs, strict=True)
    ]


def trapped(make: Make, embedder: LocalEmbedder, pairs: Sequence[Trap]) -> list[str]:
    """What gets an answer at the default threshold; of traps, none is ever right."""
    hits = []
    for group in apart(pairs):
        stored = list(dict.fromkeys(trap.stored for trap in group))
        with closing(make(DEFAULT)) as cache:
            cache.fill(stored, embedder.embed(stored))
            for trap, vector in zip(group, embedder.embed([t.asked for t in group]), strict=True):
                answer = cache.nearest(trap.asked, vector)
                if answer:
                    hits.append(f"{trap.asked} <- {answer[0]} ({answer[1]:.3f})")
    return hits


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


def lookup(makers: Sequence[Make], size: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a lookup, p50 and p99, and the share that found its question, by cache."""
    random = np.random.default_rng(size)
    # As sentences' do, they vary in fewer directions than they have numbers.
    directions = random.standard_normal((VARIED, 384), dtype=np.float32)
    vectors = _unit(random.standard_normal((size, VARIED), dtype=np.float32) @ directions)
    asked = random.integers(0, size, LOOKUPS)
    beside = _unit(random.standard_normal((LOOKUPS, 384), dtype=np.float32))
    near = _unit(vectors[asked] + np.float32(BESIDE) * beside)
    with ExitStack() as stack:
        caches = [stack.enter_context(closing(make(DEFAULT))) for make in makers]
        for cache in caches:
            cache.fill([f"where is item {number} kept" for number in range(size)], vectors)
        times: dict[str, list[float]] = {cache.name: [] for cache in caches}
        found = dict.fromkeys(times, 0)
        for number, vector in zip(asked, near, strict=True):
            for cache in caches:
                question = f"please tell me where is item {number} kept"
                took, (answer,) = cache.timed([question], vector[np.newaxis])
                right = answer is not None and answer[0] == f"where is item {number} kept"
                found[cache.name] += right
                times[cache.name] += took
    return {name: _cuts(took) | {"found": found[name] / LOOKUPS} for name, took in times.items()}


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _cuts(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100)
    return {"p50_ms": round(cuts[49], 3), "p99_ms": round(cuts[98], 3)}


def read_pairs(path: Path, limit: int) -> list[dict[str, str]]:
    """Pairs of different questions with an original of their own, in a fixed order."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    pairs = list({pair["origin"]: pair for pair in json.loads(content)}.values())
    order = np.random.default_rng(1).permutation(len(pairs))[:limit]
    chosen = [pairs[place] for place in order]
    stored = {pair["origin"].casefold() for pair in chosen}
    return [pair for pair in chosen if pair["similar"].casefold() not in stored]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    peers, missing = available()
    for name in missing:
        print(f"left out, not installed: {name}", file=sys.stderr)
    makers: list[Make] = [Ours, *peers]
    return {
        "load": os.getloadavg()[0],
        **judged(options, makers),
        "lookup": {str(size): lookup(makers, size) for size in options.sizes},
    }


def judged(options: argparse.Namespace, makers: Sequence[Make]) -> dict[str, Any]:
    """Precision at each recall, wrong hits of traps and hits of polite forms, by cache."""
    embedder = LocalEmbedder(recent=8192)
    pairs = read_pairs(options.pairs, options.limit) if options.pairs.exists() else []
    if not pairs:
        print(f"no pairs at {options.pairs}: precision is not measured", file=sys.stderr)
    stored = embedder.embed([pair["origin"] for pair in pairs])
    asked = embedder.embed([pair["similar"] for pair in pairs])
    result: dict[str, Any] = {"pairs": len(pairs), "traps": len(traps()), "polite": len(same())}
    result |= {"wrong": {}, "same": {}, "precision": {}, "levels": {}, "default": {}}
    for make in makers:
        with closing(make(DEFAULT)) as cache:
            name = cache.name
        if pairs:
            for figure, found in quality(make, pairs, stored, asked).items():
                result[figure][name] = found
        result["wrong"][name] = trapped(make, embedder, traps())
        result["same"][name] = len(trapped(make, embedder, same()))
        print(f"judged {name}", file=sys.stderr)
    return result


def told(result: dict[str, Any]) -> str:
    """The figures as lines of a table."""
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
    print(told(result))


if __name__ == "__main__":
    main()
