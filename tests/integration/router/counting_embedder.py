"""An embedder for tests of the writing, where the meaning of a text does not matter."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class CountingEmbedder:
    """A vector per text without a model; counts what it was asked for."""

    dimension = 384

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls_left = 1_000_000

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise OSError("stopped in the middle")
        self.texts += texts
        vectors = np.stack([np.random.default_rng(len(t)).standard_normal(384) for t in texts])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
