"""Question pairs of a file, and percentiles of latencies."""

from __future__ import annotations

import gzip
import json
import statistics
from pathlib import Path

import numpy as np

from benchmarks.support.cache_peers import (
    Vectors,
)


def percentiles(milliseconds: list[float]) -> dict[str, float]:
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


def unit_vectors(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
