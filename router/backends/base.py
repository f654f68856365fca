"""The one port between the router and its stores: a request goes in, ranked hits come out.

Code above this file is tested without a network. Each module below it uses one driver.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from router.backends.time_expressions import TimeRange

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One question to one store. ``embedding`` is (384,) float32 of length 1."""

    query: str
    embedding: Vector
    intent: str
    limit: int
    today: date
    time_range: TimeRange | None = None
    relaxation_steps: int = 0  # how many conditions a later try leaves out, the least certain first


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that a store returned. ``score`` is in (0, 1], comparable within one backend only."""

    id: str
    title: str
    text: str
    source: str
    score: float
    kind: str
    backend: str
    occurred_on: str | None = None
    scores: dict[str, float] = field(default_factory=dict)  # provenance, filled by fusion


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search, ``hits`` best first.

    ``requirements`` are the conditions, in words, that each hit meets. ``left_out`` are further
    conditions of the question, which hits need not meet. ``contradiction`` names conditions that
    no record can meet together.
    """

    hits: Sequence[Hit]
    requirements: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    contradiction: str = ""


class Backend(Protocol):
    """A store that can be searched. Both calls raise StoreUnavailable, nothing else."""

    @property
    def name(self) -> str: ...

    def search(self, search: SearchRequest) -> Coroutine[Any, Any, SearchResult]:
        """Return at most ``search.limit`` hits."""
        ...

    def health(self) -> Coroutine[Any, Any, None]:
        """Return when the store answers; raise StoreUnavailable otherwise."""
        ...
