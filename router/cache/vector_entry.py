"""Elements of the vector set, and their distances.

The set itself keeps one bit a dimension, enough to find candidates and too little to judge them.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

_BYTE, _TINY = 127, 1e-12


@dataclass(frozen=True, slots=True)
class VectorEntry:
    """An element of the vector set; ``vector`` is a byte per number, of any length."""

    digest: str
    query: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class SimilarQuestion:
    digest: str
    cosine: float
    query: str


def encode_entry(query: str, vector: NDArray[np.float32]) -> str:
    """Encode the vector in bytes; the error of a cosine is below 0.001."""
    scale = _BYTE / max(float(np.abs(vector).max()), _TINY)
    numbers = np.rint(vector * scale).astype(np.int8).tobytes()
    return json.dumps({"query": query, "vector": b64encode(numbers).decode()})


def decode_entry(digest: str, attributes: bytes | str | None) -> VectorEntry | None:
    """Decode an element; return None for one of another program."""
    try:
        stored = from_json(attributes or "")
        return VectorEntry(digest, str(stored["query"]), b64decode(stored["vector"]))
    except (ValueError, KeyError, TypeError):
        return None


def rank_by_cosine(
    vector: NDArray[np.float32], entries: Iterable[VectorEntry | None]
) -> list[SimilarQuestion]:
    """Rank entries by cosine, the nearest first."""
    same_size = [
        entry for entry in entries if entry is not None and len(entry.vector) == vector.size
    ]
    if not same_size:
        return []
    numbers = np.frombuffer(b"".join(entry.vector for entry in same_size), np.int8)
    rows = numbers.reshape(len(same_size), -1).astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    cosines = np.clip(rows @ vector / np.maximum(lengths, _TINY), -1.0, 1.0).tolist()
    neighbours = [
        SimilarQuestion(entry.digest, cosine, entry.query)
        for entry, cosine in zip(same_size, cosines, strict=True)
    ]
    return sorted(neighbours, key=lambda neighbour: -neighbour.cosine)
