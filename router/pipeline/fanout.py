"""Parallel search in several backends, each with its own deadline.

A backend that fails is left out of the ranking and named in the result.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from router.backends.base import SearchRequest, SearchResult
from router.backends.resilient_backend import ResilientBackend
from router.backends.time_expressions import TimeRange
from router.errors import StoreUnavailable
from router.pipeline.fusion import Ranking

SINGLE_BACKEND_SHARE = 0.6
"""Share of the remaining time for a backend that is queried alone, so another can still answer."""
SearchKey = tuple[str, str, TimeRange | None, int]
"""Identity of a search: backend, text, time range, conditions left out."""


@dataclass(frozen=True, slots=True)
class BackendSearch:
    """One search in one backend; ``weight`` is the weight of its ranking in the fusion."""

    backend: ResilientBackend
    search: SearchRequest
    weight: float

    @property
    def key(self) -> SearchKey:
        search = self.search
        return (self.backend.name, search.query, search.time_range, search.relaxation_steps)


@dataclass(frozen=True, slots=True)
class FanoutResult:
    """Rankings in the order of the searches, and each failed backend with its reason.

    ``completed`` are the searches that need no repetition.
    """

    rankings: tuple[Ranking, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    searched: tuple[SearchResult, ...] = ()
    completed: frozenset[SearchKey] = frozenset()

    @property
    def backends(self) -> tuple[str, ...]:
        """Backends that answered, even if without a hit."""
        return tuple(dict.fromkeys(ranking.backend for ranking in self.rankings))

    @property
    def contradiction(self) -> str:
        """The first condition that no record can meet, or an empty string."""
        return next((result.contradiction for result in self.searched if result.contradiction), "")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Conditions of the question that the hits need not meet, in words."""
        strict = [
            result
            for result in self.searched
            if result.hits and (result.requirements or result.left_out)
        ]
        words = [word for result in strict or self.searched for word in result.left_out]
        if not strict:  # the hits, if any, come from backends that apply no conditions
            words += [word for result in self.searched for word in result.requirements]
        return tuple(dict.fromkeys(words))

    def merge(self, later: "FanoutResult") -> "FanoutResult":
        """Return both; a backend that failed once stays named, even if it answered later."""
        return FanoutResult(
            self.rankings + later.rankings,
            {**self.failures, **later.failures},
            self.searched + later.searched,
            self.completed | later.completed,
        )


async def fan_out(searches: Iterable[BackendSearch]) -> FanoutResult:
    """Run all searches at once. A failing backend raises nothing."""
    searches = tuple(searches)
    is_alone = len({search.backend.name for search in searches}) == 1
    share = SINGLE_BACKEND_SHARE if is_alone else 1.0
    outcomes = await asyncio.gather(*(_search_backend(search, share) for search in searches))
    failures = {out.store: out.reason for out in outcomes if isinstance(out, StoreUnavailable)}
    answered = [
        (search, outcome)
        for search, outcome in zip(searches, outcomes, strict=True)
        if isinstance(outcome, SearchResult)
    ]
    return FanoutResult(
        tuple(Ranking(search.backend.name, out.hits, search.weight) for search, out in answered),
        failures,
        tuple(outcome for _, outcome in answered),
        frozenset(search.key for search in searches if search.backend.name not in failures),
    )


async def _search_backend(search: BackendSearch, share: float) -> SearchResult | StoreUnavailable:
    try:
        return await search.backend.search(search.search, share=share)
    except StoreUnavailable as error:
        return error
