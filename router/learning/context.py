"""The routing context: a fixed vector of 32 numbers that the bandit learns from.

| slots | content |
|---|---|
| 0-15 | the query's embedding, unit length, under a fixed random projection |
| 16-21 | the intent, one-hot, in the order of ``INTENTS`` |
| 22-27 | the intent, one-hot, times the classifier's confidence |
| 28 | confidence, 0 to 1 |
| 29 | complexity, 0 to 1 |
| 30 | confidence times complexity |
| 31 | 1, the bias |

The projection's signs come from SHA-256 (Achlioptas 2003: random signs keep distances), not from a
library's generator, whose stream may change with a release and strand the learned weights.
"""

import hashlib
import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from router.learning.errors import InvalidContextError
from router.learning.linucb import Vector

DIMENSION = 32
PROJECTION_SIZE = 16
INTENTS = ("graph", "temporal", "semantic", "metadata", "out_of_scope", "other")
EMBEDDING_MAX = 16_384
_PROJECTION = "sluice context projection 1"


def build_context(
    embedding: ArrayLike, intent: str, confidence: float, complexity: float
) -> Vector:
    """Build a query's context, shape (32,); ``embedding`` is (384,) or any other fixed length.

    Values are rounded to single precision, so that they survive storage exactly. An intent that
    is not in ``INTENTS`` counts as ``other``. Raises InvalidContextError for NaN or infinity and
    for a confidence or complexity outside [0, 1].
    """
    context = np.zeros(DIMENSION)
    context[:PROJECTION_SIZE] = _project_embedding(np.asarray(embedding, dtype=np.float64))
    certainty = _require_fraction("confidence", confidence)
    difficulty = _require_fraction("complexity", complexity)
    slot = PROJECTION_SIZE + _intent_slot(intent)
    context[slot] = 1.0
    context[slot + len(INTENTS)] = certainty
    context[-4:] = (certainty, difficulty, certainty * difficulty, 1.0)
    return context.astype(np.float32).astype(np.float64)


def _project_embedding(embedding: Vector) -> Vector:
    if embedding.ndim != 1 or not 1 <= embedding.size <= EMBEDDING_MAX:
        raise InvalidContextError(f"embedding has shape {embedding.shape}, expected (384,)")
    norm = math.sqrt(float(embedding @ embedding))
    if not math.isfinite(norm):
        raise InvalidContextError("embedding must hold finite numbers")
    if norm == 0.0:
        return np.zeros(PROJECTION_SIZE)
    return np.asarray(_projection_matrix(embedding.size) @ (embedding / norm), dtype=np.float64)


@lru_cache(maxsize=4)
def _projection_matrix(size: int) -> Vector:
    """±1/√16, shape (16, size): the expected length of a projected unit vector is 1."""
    bits = hashlib.shake_256(f"{_PROJECTION} {size}".encode()).digest(PROJECTION_SIZE * size // 8)
    flags = np.unpackbits(np.frombuffer(bits, dtype=np.uint8)).reshape(PROJECTION_SIZE, size)
    signs = np.asarray((flags * 2.0 - 1.0) / math.sqrt(PROJECTION_SIZE), dtype=np.float64)
    signs.flags.writeable = False
    return signs


def _intent_slot(intent: str) -> int:
    name = intent.lower().replace("-", "_").replace(" ", "_")
    return INTENTS.index(name if name in INTENTS else "other")


def _require_fraction(name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise InvalidContextError(f"{name} is {value}; it must be between 0 and 1")
    return value
