"""From a plan to hits: which backend is asked what, and what to try when the answer won't do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from router.backends.base import Hit, Search, Vector
from router.backends.guard import Guard
from router.backends.windows import Window, window_of
from router.correction import insufficient, next_try
from router.decisions import ARM_BACKENDS
from router.errors import StoreUnavailable
from router.fanout import Found, Inquiry, fan_out
from router.fusion import fuse
from router.options import Features

PARTS_MAX = 3
LATER_WEIGHT = 0.8
"""Of every arm but the one that was chosen: it is asked because the choice may not be enough."""


@dataclass(frozen=True, slots=True)
class Part:
    """One question to search for, with its vector."""

    text: str
    embedding: Vector


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to retrieve: one part, or several of a decomposed question."""

    parts: tuple[Part, ...]
    intent: str
    arms: tuple[str, ...]
    limit: int
    today: date


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Hits best first; ``corrections`` says, in words, what was tried beyond the plan."""

    hits: tuple[Hit, ...]
    found: Found
    corrections: tuple[str, ...] = ()


class Retrieval:
    """Searches the backends it was given; knows nothing of cohorts, caches or users."""

    def __init__(self, backends: Sequence[Guard], features: Features) -> None:
        self._backends = {backend.name: backend for backend in backends}
        self._features = features

    @property
    def backends(self) -> Mapping[str, Guard]:
        return self._backends

    async def nearest(self, vector: Vector) -> float | None:
        """The cosine of the nearest record; 0 when there is none, None when Qdrant is away."""
        today = datetime.now(UTC).date()
        try:
            hits = await self._backends["qdrant"].search(Search("", vector, "semantic", 1, today))
        except StoreUnavailable:
            return None
        return hits[0].score if hits else 0.0

    async def once(self, wanted: Wanted) -> Retrieved:
        """The plan as it is."""
        found = await fan_out(self._inquiries(wanted, relaxed=False))
        return Retrieved(self._fused(found, wanted.limit), found)

    async def again(self, wanted: Wanted, before: Retrieved, attempt: int, why: str) -> Retrieved:
        """One correction: other arms, then all arms with conditions relaxed."""
        step = next_try(wanted.intent, wanted.arms, attempt)
        other = replace(wanted, arms=step.arms)
        later = await fan_out(self._inquiries(other, relaxed=step.relaxed, weight=LATER_WEIGHT))
        found = before.found.and_then(later)
        said = f"{why}: asked {', '.join(step.arms)}" + (" with fewer conditions" * step.relaxed)
        return Retrieved(self._fused(found, wanted.limit), found, (*before.corrections, said))

    def reason_to_correct(self, retrieved: Retrieved, attempt: int) -> str | None:
        """Why another try is due; a failed store is always made up for once."""
        if attempt >= self._features.max_correction_retries:
            return None
        why = insufficient(retrieved.hits)
        if self._features.enable_self_correction or (retrieved.found.failures and attempt == 0):
            return why
        return None

    def require_any(self, retrieved: Retrieved) -> None:
        """Raise StoreUnavailable when every store that was asked failed: that is no answer."""
        found = retrieved.found
        if found.failures and not found.rankings:
            names, why = ", ".join(found.failures), "; ".join(found.failures.values())
            raise StoreUnavailable(names, why)

    def _fused(self, found: Found, limit: int) -> tuple[Hit, ...]:
        rankings = found.rankings
        if not self._features.enable_result_fusion:
            rankings = tuple(r for r in rankings if r.hits)[:1]
        return tuple(fuse(rankings, limit))

    def _inquiries(
        self, wanted: Wanted, *, relaxed: bool, weight: float | None = None
    ) -> Iterator[Inquiry]:
        seen: set[tuple[str, str, Window | None]] = set()
        for place, arm in enumerate(wanted.arms):
            for part in wanted.parts[:PARTS_MAX]:
                window = window_of(part.text, wanted.today) if arm == "temporal" else None
                for backend in self._of(arm):
                    if (backend.name, part.text, window) in seen:
                        continue
                    seen.add((backend.name, part.text, window))
                    search = Search(
                        query=part.text,
                        embedding=part.embedding,
                        intent=wanted.intent,
                        limit=wanted.limit,
                        today=wanted.today,
                        window=window,
                        relaxed=relaxed,
                    )
                    share = weight or (1.0 if place == 0 else LATER_WEIGHT)
                    yield Inquiry(backend, search, share)

    def _of(self, arm: str) -> list[Guard]:
        """The arm's backends that exist; Qdrant where none does (graph switched off)."""
        names = [name for name in ARM_BACKENDS[arm] if name in self._backends]
        return [self._backends[name] for name in names or ["qdrant"]]
