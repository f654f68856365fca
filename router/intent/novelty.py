"""Novelty detection: questions unlike the training questions.

For models with labels of their own. Two signs, each in units of its spread over the training
questions: the classifier's best score, and the cosines of the nearest training questions (k-nearest
neighbours: Sun et al. 2022). Either alone finds 80 to 83 % of CLINC150's out-of-scope questions at
5 % false rejection; their sum 92 %, without having seen one (benchmarks/intent.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
FALSE_REJECTION_RATE = 0.05
"""Share of held-out known questions that may be taken for unknown ones."""
_NEIGHBOUR_RANKS = (1, 3, 5)
_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class NoveltyDetector:
    """Detector over the training questions' vectors; below ``threshold`` a question is unknown."""

    known_vectors: Floats
    score_spread: float
    proximity_spread: float
    familiarity_threshold: float

    def familiarity(self, score: float, vector: Floats) -> float:
        """Return a high value for questions like the training ones; ``score`` is the best class's."""
        return (
            score / self.score_spread
            + _proximity(self.known_vectors @ vector) / self.proximity_spread
        )

    def novelty_score(self, score: float, vector: Floats) -> float:
        """Return a probability-like figure; above one half the question is out of scope."""
        margin = self.familiarity(score, vector) - self.familiarity_threshold
        return 1.0 / (1.0 + exp(min(50.0, max(-50.0, 2.0 * margin))))


def fit_novelty_detector(scores: Sequence[float] | Floats, vectors: Floats) -> NoveltyDetector:
    """Fit to held-out best scores and the vectors of the same training questions."""
    best = np.asarray(scores, np.float64)
    proximities = _leave_one_out_proximity(vectors)
    score_spread, near_spread = float(best.std()) or 1.0, float(proximities.std()) or 1.0
    familiar = best / score_spread + proximities / near_spread
    threshold = float(np.quantile(familiar, FALSE_REJECTION_RATE))
    return NoveltyDetector(vectors, score_spread, near_spread, threshold)


def _leave_one_out_proximity(vectors: Floats) -> NDArray[np.float64]:
    proximities = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK_ROWS):
        cosines = vectors[start : start + _BLOCK_ROWS] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -1.0
        proximities[start : start + _BLOCK_ROWS] = [_proximity(row) for row in cosines]
    return proximities


def _proximity(cosines: Floats) -> float:
    """Return the mean proximity of the nearest, third and fifth training question."""
    places = [max(0, len(cosines) - place) for place in _NEIGHBOUR_RANKS]
    return float(np.partition(cosines, places)[places].mean())
