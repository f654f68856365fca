"""Ask several backends at once, each with its own deadline; whoever fails is left out and named."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from router.backends.base import SearchRequest, SearchResult
from router.backends.resilient_backend import ResilientBackend
from router.errors import StoreUnavailable
from router.pipeline.fusion import Ranking

SINGLE_BACKEND_SHARE = 0.6
"""Of the time left, for a store that is asked alone: if it is away, another must still answer."""


@dataclass(frozen=True, slots=True)
class BackendSearch:
    """One search in one backend; ``weight`` is how much its ranking counts in the fusion."""

    backend: ResilientBackend
    search: SearchRequest
    weight: float


@dataclass(frozen=True, slots=True)
class FanoutResult:
    """What came back, in the order asked, and who failed and why."""

    rankings: tuple[Ranking, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    searched: tuple[SearchResult, ...] = ()

    @property
    def backends(self) -> tuple[str, ...]:
        """Those that answered, even with nothing."""
        return tuple(dict.fromkeys(ranking.backend for ranking in self.rankings))

    def merge(self, later: "FanoutResult") -> "FanoutResult":
        """Both; a backend that failed once is named even if it answered later."""
        failures = {**self.failures, **later.failures}
        return FanoutResult(
            self.rankings + later.rankings, failures, self.searched + later.searched
        )

    @property
    def contradiction(self) -> str:
        """What a store said no record can meet; empty when none did."""
        return next((each.contradiction for each in self.searched if each.contradiction), "")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Conditions of the question that the hits need not meet, in words."""
        met = [each for each in self.searched if each.hits and (each.requirements or each.left_out)]
        said = [word for each in met or self.searched for word in each.left_out]
        if not met:  # only stores that know of no conditions found something, if anything was found
            said += [word for each in self.searched for word in each.requirements]
        return tuple(dict.fromkeys(said))


async def fan_out(searches: Iterable[BackendSearch]) -> FanoutResult:
    """Never raises for a backend."""
    asked: Sequence[BackendSearch] = tuple(searches)
    alone = len({inquiry.backend.name for inquiry in asked}) == 1
    share = SINGLE_BACKEND_SHARE if alone else 1.0
    outcomes = await asyncio.gather(*(_search_backend(inquiry, share) for inquiry in asked))
    failures = {out.store: out.reason for out in outcomes if isinstance(out, StoreUnavailable)}
    answered = [
        (inquiry, outcome)
        for inquiry, outcome in zip(asked, outcomes, strict=True)
        if isinstance(outcome, SearchResult)
    ]
    rankings = tuple(Ranking(one.backend.name, out.hits, one.weight) for one, out in answered)
    return FanoutResult(rankings, failures, tuple(out for _, out in answered))


async def _search_backend(inquiry: BackendSearch, share: float) -> SearchResult | StoreUnavailable:
    try:
        return await inquiry.backend.search(inquiry.search, share=share)
    except StoreUnavailable as error:
        return error
