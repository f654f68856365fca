"""Ask several backends at once, each with its own deadline; whoever fails is left out and named."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from router.backends.base import Search
from router.backends.guard import Guard
from router.errors import StoreUnavailable
from router.fusion import Ranking


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One search in one backend; ``weight`` is how much its ranking counts in the fusion."""

    backend: Guard
    search: Search
    weight: float


@dataclass(frozen=True, slots=True)
class Found:
    """What came back: rankings in the order asked, and who failed and why."""

    rankings: tuple[Ranking, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def backends(self) -> tuple[str, ...]:
        """Those that answered, even with nothing."""
        return tuple(dict.fromkeys(ranking.backend for ranking in self.rankings))

    def and_then(self, later: "Found") -> "Found":
        """Both; a backend that failed once is named even if it answered later."""
        return Found(self.rankings + later.rankings, {**self.failures, **later.failures})


async def fan_out(inquiries: Iterable[Inquiry]) -> Found:
    """Never raises for a backend."""
    asked: Sequence[Inquiry] = tuple(inquiries)
    outcomes = await asyncio.gather(*(_ask(inquiry) for inquiry in asked))
    rankings = tuple(outcome for outcome in outcomes if isinstance(outcome, Ranking))
    failures = {out.store: out.why for out in outcomes if isinstance(out, StoreUnavailable)}
    return Found(rankings, failures)


async def _ask(inquiry: Inquiry) -> Ranking | StoreUnavailable:
    try:
        hits = await inquiry.backend.search(inquiry.search)
    except StoreUnavailable as error:
        return error
    return Ranking(inquiry.backend.name, hits, inquiry.weight)
