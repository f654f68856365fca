"""The trained classifier as plain arrays: loads in milliseconds, runs on numpy, holds no code."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from math import sqrt
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from router.intent.frames import frame_grams
from router.intent.labels import OUT_OF_SCOPE, IntentModelError
from router.intent.ngrams import character_grams, word_grams
from router.intent.novelty import NoveltyDetector

Floats = NDArray[np.float32]
FORMAT_VERSION = 3


@dataclass(frozen=True, slots=True)
class NgramBlock:
    """TF-IDF over one kind of n-gram: sublinear counts, unit length, ``scale`` against the others."""

    analyzer: Callable[[str], list[str]]
    vocabulary: Mapping[str, int]
    idf: Floats
    scale: float

    def row(self, query: str) -> tuple[NDArray[np.int64], Floats]:
        """Return column numbers and values of the non-zero entries."""
        counts = Counter(map(self.vocabulary.get, self.analyzer(query)))  # no Python per gram
        del counts[None]
        columns = np.fromiter(counts, np.int64, len(counts))
        occurrences = np.fromiter(counts.values(), np.float64, len(counts))
        values = (1.0 + np.log(occurrences)).astype(np.float32) * self.idf[columns]
        length = sqrt(float(values @ values))
        return columns, np.asarray(values * (self.scale / length if length else 0.0), np.float32)


ANALYZERS: dict[str, Callable[[str], list[str]]] = {
    "words": word_grams,
    "characters": character_grams,
    "frames": frame_grams,
}


@dataclass(frozen=True, slots=True)
class IntentModel:
    """A linear model over n-grams and the sentence vector.

    ``coefficients`` has shape (classes, words + characters + frames + dimension), in that order;
    ``temperature`` divides the scores so that probabilities mean what they say (Guo et al. 2017).
    ``novelty`` is there when the labels are a team's own: then it says what is out of scope.
    """

    classes: tuple[str, ...]
    blocks: tuple[NgramBlock, ...]
    vector_scale: float
    coefficients: Floats
    intercept: Floats
    temperature: float
    novelty: NoveltyDetector | None = None

    @property
    def dimension(self) -> int:
        """Return the length of the sentence vectors of its training."""
        return int(self.coefficients.shape[1]) - sum(len(block.idf) for block in self.blocks)

    def scores(self, query: str, vector: Floats) -> Floats:
        """Return log-odds per class, before the temperature."""
        total = self.intercept.copy()
        offset = 0
        for block in self.blocks:
            columns, values = block.row(query)
            total += self.coefficients[:, offset + columns] @ values
            offset += len(block.idf)
        return np.asarray(total + self.coefficients[:, offset:] @ (vector * self.vector_scale))

    def probabilities(self, query: str, vector: Floats) -> dict[str, float]:
        """Return the calibrated probability of each class; they sum to one."""
        return self._calibrated_probabilities(self.scores(query, vector))

    def decide(self, query: str, vector: Floats) -> tuple[str, float]:
        """Return the most probable class, or out_of_scope for a question unlike the known ones."""
        scores = self.scores(query, vector)
        if self.novelty is not None:
            unknown = self.novelty.novelty_score(float(scores.max()), vector)
            if unknown > 0.5:  # noqa: PLR2004  more likely than not
                return OUT_OF_SCOPE, unknown
        odds = self._calibrated_probabilities(scores)
        best = max(odds, key=odds.__getitem__)
        return best, odds[best]

    def _calibrated_probabilities(self, scores: Floats) -> dict[str, float]:
        scaled = scores.astype(np.float64) / self.temperature
        weights = np.exp(scaled - scaled.max())
        return dict(zip(self.classes, (weights / weights.sum()).tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of arrays and one JSON text; nothing in it can run."""
        header: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "classes": self.classes,
            "vocabularies": [list(block.vocabulary) for block in self.blocks],
            "scales": [block.scale for block in self.blocks],
            "vector_scale": self.vector_scale,
            "temperature": self.temperature,
            "novelty": None,
        }
        if self.novelty is not None:
            header["novelty"] = [
                self.novelty.score_spread,
                self.novelty.proximity_spread,
                self.novelty.familiarity_threshold,
            ]
        idf = {f"idf_{index}": block.idf for index, block in enumerate(self.blocks)}
        text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        buffer = BytesIO()
        np.savez_compressed(
            buffer,
            allow_pickle=False,
            header=text,
            coefficients=self.coefficients,
            intercept=self.intercept,
            known=np.empty((0,), np.float16)
            if self.novelty is None
            else self.novelty.known_vectors.astype(np.float16),
            **idf,
        )
        path.write_bytes(buffer.getvalue())


def load_intent_model(path: Path) -> IntentModel:
    """Read a model that ``save`` wrote.

    Raises:
        IntentModelError: the file is missing, broken, or of another format.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return _from_arrays({name: arrays[name] for name in arrays.files})
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError) as error:
        raise IntentModelError(
            f"{path}: not an intent model ({error}); make one with `sluice train`"
        ) from error


def _from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> IntentModel:
    header = json.loads(arrays["header"].tobytes())
    if header["format"] != FORMAT_VERSION:
        raise IntentModelError(f"format {header['format']}, this version reads {FORMAT_VERSION}")
    blocks = tuple(
        NgramBlock(
            analyse, {gram: at for at, gram in enumerate(grams)}, _floats(arrays[f"idf_{n}"]), scale
        )
        for n, (analyse, grams, scale) in enumerate(
            zip(ANALYZERS.values(), header["vocabularies"], header["scales"], strict=True)
        )
    )
    model = IntentModel(
        classes=tuple(header["classes"]),
        blocks=blocks,
        vector_scale=header["vector_scale"],
        coefficients=_floats(arrays["coefficients"]),
        intercept=_floats(arrays["intercept"]),
        temperature=header["temperature"],
        novelty=NoveltyDetector(_floats(arrays["known"]), *header["novelty"])
        if header["novelty"]
        else None,
    )
    _require_consistent(model)
    return model


def _require_consistent(model: IntentModel) -> None:
    fits = (
        model.coefficients.shape[0] == len(model.intercept) == len(model.classes)
        and all(len(block.vocabulary) == len(block.idf) for block in model.blocks)
        and model.dimension > 0
        and model.temperature > 0
        and (model.novelty is None or model.novelty.known_vectors.shape[1:] == (model.dimension,))
    )
    if not fits or not np.isfinite(model.coefficients).all():
        raise IntentModelError("its arrays do not fit together")


def _floats(array: NDArray[np.generic]) -> Floats:
    return np.asarray(array, dtype=np.float32)
