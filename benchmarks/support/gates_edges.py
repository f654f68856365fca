"""Numbers of events above each latency edge."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


MEDIAN_SECONDS = 0.2


SIGMA = 0.6


TAIL = 0.03


SPEEDS = np.linspace(-3, 3, 25)
"""Classes of users' speeds, in standard deviations."""


def share_above_edges(edges: Array, latency: tuple[float, float]) -> Array:
    """P(slower than the edge) per class of users when everything, or the tail, takes longer."""
    slower, tail_slower = latency
    found = _share_above(edges / slower)
    if tail_slower > 1:
        found = np.maximum(found, np.minimum(TAIL, _share_above(edges / tail_slower)))
    return found


def _share_above(seconds: Array) -> Array:
    """P(slower than ``seconds``) for each class of users, shape (speeds, edges)."""
    spread = 0.3
    own = np.sqrt(SIGMA**2 - spread**2)
    score = (np.log(seconds / MEDIAN_SECONDS)[None] - spread * SPEEDS[:, None]) / own
    # Φ by its logistic approximation (error below 0.0002, Bowling et al. 2009): the shape matters.
    return np.asarray(1 / (1 + np.exp(0.07056 * score**3 + 1.5976 * score)))


def draw_above_edges(rng: np.random.Generator, requests: Array, survival: Array) -> Array:
    """Draw requests above each edge, each from those above the previous edge."""
    found, left = [], requests.astype(int)
    before = np.ones(len(survival))
    for edge in range(survival.shape[1]):
        part = np.clip(survival[:, edge] / np.maximum(before, 1e-12), 0, 1)
        left = rng.binomial(left, part[:, None])
        found.append(left.astype(float))
        before = survival[:, edge]
    return np.stack(found, axis=-1)
