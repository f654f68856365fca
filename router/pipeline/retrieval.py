"""From a plan to hits: which backend is asked what, and what to try when the answer won't do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from router.backends.base import Hit, SearchRequest, Vector
from router.backends.resilient_backend import ResilientBackend
from router.backends.time_expressions import TimeRange, parse_time_range
from router.errors import StoreUnavailable
from router.features import Features
from router.pipeline.arm_selection import ARM_BACKENDS
from router.pipeline.correction import FILTER_BACKENDS, insufficiency_reason, next_attempt
from router.pipeline.fanout import BackendSearch, FanoutResult, fan_out
from router.pipeline.fusion import fuse

SUB_QUERIES_MAX = 3
SUB_QUERY_ARMS_MIN = 2
"""Its own and the one chosen for the whole question, which its reward is credited to."""
EVIDENCE_SHARE = 0.3
"""Of the time left, for asking whether the stores know of a question at all."""
SearchKey = tuple[str, str, TimeRange | None, int]
"""What makes two searches the same: backend, text, time, conditions left out."""
SECONDARY_WEIGHT = 0.8
"""Of every arm but the one that was chosen: it is asked because the choice may not be enough."""


@dataclass(frozen=True, slots=True)
class SubQuery:
    """One question to search for, with its vector.

    ``arm`` suits it best by itself: half of a question may be of another kind than the whole.
    """

    text: str
    embedding: Vector
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class RetrievalRequest:
    """What to retrieve: one part, or several of a decomposed question."""

    sub_queries: tuple[SubQuery, ...]
    intent: str
    arms: tuple[str, ...]
    limit: int
    today: date


@dataclass(frozen=True, slots=True)
class AttemptHistory:
    """The arms asked so far, each single search, and how many conditions the last try left out."""

    arms: tuple[str, ...] = ()
    searches: frozenset[SearchKey] = frozenset()
    relaxed_conditions: int = 0


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """Hits best first, and how they came about.

    ``wanting`` is why they won't do, in words, None when they will, ``contradictory`` whether that
    lies in the question itself; ``tries`` are all searches so far; ``corrections`` says in words
    what was tried beyond the plan.
    """

    hits: tuple[Hit, ...]
    fanout: FanoutResult
    insufficiency: str | None = None
    is_contradictory: bool = False
    history: AttemptHistory = AttemptHistory()
    corrections: tuple[str, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Conditions of the question that the hits need not meet, in words."""
        return self.fanout.left_out


class Retrieval:
    """Searches the backends it was given; knows nothing of cohorts, caches or users."""

    def __init__(self, backends: Sequence[ResilientBackend], features: Features) -> None:
        self._backends = {backend.name: backend for backend in backends}
        self._features = features

    @property
    def backends(self) -> Mapping[str, ResilientBackend]:
        return self._backends

    async def nearest_cosine(self, vector: Vector) -> float | None:
        """The cosine of the nearest record; 0 when there is none, None when Qdrant is away."""
        search = SearchRequest("", vector, "semantic", 1, datetime.now(UTC).date())
        try:
            found = await self._backends["qdrant"].search(search, share=EVIDENCE_SHARE)
        except StoreUnavailable:
            return None
        return found.hits[0].score if found.hits else 0.0

    async def retrieve(self, request: RetrievalRequest) -> RetrievalResult:
        """The plan as it is."""
        asked = self._backend_searches(request)
        found = await fan_out(asked.values())
        hits = self._fuse(found, request.limit)
        wanting = insufficiency_reason(hits, found.contradiction, found.left_out if hits else ())
        tries = AttemptHistory(request.arms, _completed_searches(asked, found))
        return RetrievalResult(hits, found, wanting, bool(found.contradiction), tries)

    async def correct(
        self, request: RetrievalRequest, before: RetrievalResult
    ) -> RetrievalResult | None:
        """One correction: another plan. None when there is none that asks anything new."""
        tries = before.history
        step = next_attempt(
            request.intent,
            tries.arms,
            tries.relaxed_conditions,
            contradictory=before.is_contradictory,
        )
        other = replace(request, arms=step.arms)
        # A search without conditions has none to leave out: it would be the same search again.
        relaxed = step.relaxed if any(each.requirements for each in before.fanout.searched) else 0
        asked = self._backend_searches(other, relaxed=relaxed, weight=SECONDARY_WEIGHT)
        fresh = {key: one for key, one in asked.items() if key not in tries.searches}
        if not fresh:
            return None
        later = await fan_out(fresh.values())
        found = before.fanout.merge(later)
        hits = self._fuse(found, request.limit)
        return RetrievalResult(
            hits,
            found,
            insufficiency_reason(hits, later.contradiction),
            bool(later.contradiction),
            AttemptHistory(
                (*tries.arms, *step.arms),
                tries.searches | _completed_searches(fresh, later),
                relaxed,
            ),
            (
                *before.corrections,
                _describe_correction(before.insufficiency, fresh.values(), later),
            ),
        )

    def correction_reason(self, retrieved: RetrievalResult, attempt: int) -> str | None:
        """Why another try is due; a failed store is always made up for once."""
        if attempt >= self._features.max_correction_retries:
            return None
        if self._features.enable_self_correction or (retrieved.fanout.failures and attempt == 0):
            return retrieved.insufficiency
        return None

    def require_answer(self, retrieved: RetrievalResult) -> None:
        """Raise StoreUnavailable when every store that was asked failed: that is no answer."""
        found = retrieved.fanout
        if found.failures and not found.rankings:
            names, why = ", ".join(found.failures), "; ".join(found.failures.values())
            raise StoreUnavailable(names, why)

    def _fuse(self, found: FanoutResult, limit: int) -> tuple[Hit, ...]:
        rankings = found.rankings
        if not self._features.enable_result_fusion:
            rankings = tuple(r for r in rankings if r.hits)[:1]
        return tuple(fuse(rankings, limit))

    def _backend_searches(
        self, wanted: RetrievalRequest, *, relaxed: int = 0, weight: float | None = None
    ) -> dict[SearchKey, BackendSearch]:
        """Each search once, with the weight of the first arm that asks it."""
        inquiries: dict[SearchKey, BackendSearch] = {}
        for part in wanted.sub_queries[:SUB_QUERIES_MAX]:
            for place, arm in enumerate(_arms_for(part, wanted.arms)):
                window = parse_time_range(part.text, wanted.today) if arm == "temporal" else None
                for backend in self._backends_for(arm):
                    left_out = relaxed if backend.name in FILTER_BACKENDS else 0
                    key = (backend.name, part.text, window, left_out)
                    if key in inquiries:
                        continue
                    search = SearchRequest(
                        query=part.text,
                        embedding=part.embedding,
                        intent=wanted.intent,
                        limit=wanted.limit,
                        today=wanted.today,
                        time_range=window,
                        relaxation_steps=left_out,
                    )
                    share = weight or (1.0 if place == 0 else SECONDARY_WEIGHT)
                    inquiries[key] = BackendSearch(backend, search, share)
        return inquiries

    def _backends_for(self, arm: str) -> list[ResilientBackend]:
        """The arm's backends that exist; Qdrant where none does (graph switched off)."""
        names = [name for name in ARM_BACKENDS[arm] if name in self._backends]
        return [self._backends[name] for name in names or ["qdrant"]]


def _arms_for(part: SubQuery, arms: tuple[str, ...]) -> tuple[str, ...]:
    """The part's own arm first, and no more of them than of a whole question."""
    if part.arm is None:
        return arms
    return tuple(dict.fromkeys((part.arm, *arms)))[: max(len(arms), SUB_QUERY_ARMS_MIN)]


def _completed_searches(asked: Iterable[SearchKey], found: FanoutResult) -> frozenset[SearchKey]:
    """What need not be asked again; a store that failed may be."""
    return frozenset(key for key in asked if key[0] not in found.failures)


def _describe_correction(
    why: str | None, asked: Iterable[BackendSearch], later: FanoutResult
) -> str:
    names = ", ".join(dict.fromkeys(inquiry.backend.name for inquiry in asked))
    without = "; ".join(dict.fromkeys(word for each in later.searched for word in each.left_out))
    return f"{why}: asked {names}" + (f" leaving out {without}" if without else "")
