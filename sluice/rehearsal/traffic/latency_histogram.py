"""Latency as histogram buckets: counts of queries, drawn from a log-normal with a tail."""

import math

import numpy as np

from sluice.rehearsal.arrays import Floats, Ints

BUCKET_EDGES = tuple(round(0.001 * 1.25**i, 6) for i in range(20, 39))
"""The router's edges (×1.25) from 87 ms to 4.8 s; the others would be empty."""
TAIL_SHARE = 0.03

_GRID = np.linspace(-6, 6, 2401)
_NORMAL = np.array([(1 + math.erf(x / math.sqrt(2))) / 2 for x in _GRID])


def draw_bucket_counts(
    rng: np.random.Generator, queries: Ints, shape: "LatencyDistribution"
) -> Ints:
    """Draw counts by tick and bucket, cumulative as in Prometheus; the last bucket is +Inf."""
    below = shape.cdf(np.array(BUCKET_EDGES))
    inside = np.diff(below, axis=1, prepend=0.0, append=1.0)
    inside = np.clip(inside, 0, None)
    inside /= inside.sum(axis=1, keepdims=True)
    return np.cumsum(rng.multinomial(queries, inside), axis=1)


class LatencyDistribution:
    """The distribution at each tick: median in seconds, spread of the logarithm, tail factor."""

    def __init__(self, median: Floats, spread: float, tail: Floats) -> None:
        self._median = median[:, None]
        self._spread = spread
        self._tail = tail[:, None]

    def cdf(self, edges: Floats) -> Floats:
        """Return the probability of a time up to each edge; the slowest 3 % take ``tail`` times as long."""
        body = self._body_cdf(edges[None, :])
        stretched = self._body_cdf(edges[None, :] / self._tail)
        return np.minimum(body, 1 - TAIL_SHARE) + np.maximum(stretched - (1 - TAIL_SHARE), 0)

    def _body_cdf(self, edges: Floats) -> Floats:
        return np.asarray(np.interp(np.log(edges / self._median) / self._spread, _GRID, _NORMAL))
