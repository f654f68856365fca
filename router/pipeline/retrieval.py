"""Retrieval: from a routing plan to hits, and to a corrected search if they are insufficient."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from router.backends.base import Hit, SearchRequest, Vector
from router.backends.resilient_backend import ResilientBackend
from router.backends.time_expressions import parse_time_range
from router.errors import StoreUnavailable
from router.features import Features
from router.pipeline.arm_selection import ARM_BACKENDS
from router.pipeline.correction import (
    FILTER_BACKENDS,
    SearchAttempt,
    insufficiency_reason,
    next_attempt,
)
from router.pipeline.fanout import BackendSearch, FanoutResult, SearchKey, fan_out
from router.pipeline.fusion import fuse

SUB_QUERIES_MAX = 3
SUB_QUERY_ARMS_MIN = 2
"""A sub-query's own arm, and the whole question's arm, which the reward is credited to."""
EVIDENCE_SHARE = 0.3
"""Share of the remaining time for the question whether the stores cover a subject."""
SECONDARY_WEIGHT = 0.8
"""Weight of every arm but the chosen one."""


@dataclass(frozen=True, slots=True)
class SubQuery:
    """One text to search for, with its vector.

    ``arm`` is the arm of a part of a question, which may differ from the whole question's.
    """

    text: str
    embedding: Vector
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class RetrievalRequest:
    """A question, or the parts of a decomposed one, with the arms to query."""

    sub_queries: tuple[SubQuery, ...]
    intent: str
    arms: tuple[str, ...]
    limit: int
    today: date


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """Hits, best first, and all searches that led to them.

    ``insufficiency`` is the reason to correct the search, or None. ``attempt`` holds the arms of
    all attempts and the conditions that the last one left out. ``corrections`` describes each
    attempt after the first in words.
    """

    hits: tuple[Hit, ...] = ()
    fanout: FanoutResult = field(default_factory=FanoutResult)
    insufficiency: str | None = None
    is_contradictory: bool = False
    attempt: SearchAttempt = field(default_factory=SearchAttempt)
    corrections: tuple[str, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Conditions of the question that the hits need not meet, in words."""
        return self.fanout.left_out


class Retrieval:
    """Search in the supplied backends, independent of cohorts, caches and users."""

    def __init__(self, backends: Sequence[ResilientBackend], features: Features) -> None:
        self._backends = {backend.name: backend for backend in backends}
        self._features = features

    @property
    def backends(self) -> Mapping[str, ResilientBackend]:
        return self._backends

    async def nearest_cosine(self, vector: Vector) -> float | None:
        """Return the cosine of the nearest record: 0 without records, None without Qdrant."""
        if "qdrant" not in self._backends:
            return None
        search = SearchRequest("", vector, "semantic", 1, datetime.now(UTC).date())
        try:
            result = await self._backends["qdrant"].search(search, share=EVIDENCE_SHARE)
        except StoreUnavailable:
            return None
        return result.hits[0].score if result.hits else 0.0

    async def retrieve(self, request: RetrievalRequest) -> RetrievalResult:
        """Search as planned."""
        fanout = await fan_out(self._backend_searches(request).values())
        hits = self._fuse(fanout, request.limit)
        unmet = fanout.left_out if hits else ()
        return RetrievalResult(
            hits,
            fanout,
            insufficiency_reason(hits, fanout.contradiction, unmet),
            bool(fanout.contradiction),
            SearchAttempt(request.arms),
        )

    async def correct(
        self, request: RetrievalRequest, before: RetrievalResult
    ) -> RetrievalResult | None:
        """Make the next attempt, or return None if it would only repeat earlier searches."""
        attempt = next_attempt(
            request.intent, before.attempt, contradictory=before.is_contradictory
        )
        # Without conditions a relaxed search equals the earlier one.
        has_conditions = any(result.requirements for result in before.fanout.searched)
        relaxed = attempt.relaxed_conditions if has_conditions else 0
        searches = self._backend_searches(
            replace(request, arms=attempt.arms), relaxed=relaxed, weight=SECONDARY_WEIGHT
        )
        new = [search for key, search in searches.items() if key not in before.fanout.completed]
        if not new:
            return None
        later = await fan_out(new)
        fanout = before.fanout.merge(later)
        hits = self._fuse(fanout, request.limit)
        description = _describe_correction(before.insufficiency, new, later)
        return RetrievalResult(
            hits,
            fanout,
            insufficiency_reason(hits, later.contradiction),
            bool(later.contradiction),
            SearchAttempt((*before.attempt.arms, *attempt.arms), relaxed),
            (*before.corrections, description),
        )

    def correction_reason(self, result: RetrievalResult, attempt: int) -> str | None:
        """Return the reason for another attempt; a failed backend is always replaced once."""
        if attempt >= self._features.max_correction_retries:
            return None
        if self._features.enable_self_correction or (result.fanout.failures and attempt == 0):
            return result.insufficiency
        return None

    def require_answer(self, result: RetrievalResult) -> None:
        """Raise StoreUnavailable if every queried backend failed."""
        fanout = result.fanout
        if fanout.failures and not fanout.rankings:
            names, reasons = ", ".join(fanout.failures), "; ".join(fanout.failures.values())
            raise StoreUnavailable(names, reasons)

    def _fuse(self, fanout: FanoutResult, limit: int) -> tuple[Hit, ...]:
        rankings = fanout.rankings
        if not self._features.enable_result_fusion:
            rankings = tuple(ranking for ranking in rankings if ranking.hits)[:1]
        return tuple(fuse(rankings, limit))

    def _backend_searches(
        self, request: RetrievalRequest, *, relaxed: int = 0, weight: float | None = None
    ) -> dict[SearchKey, BackendSearch]:
        """Return each distinct search once, with the weight of the first arm that needs it."""
        searches: dict[SearchKey, BackendSearch] = {}
        for part in request.sub_queries[:SUB_QUERIES_MAX]:
            for place, arm in enumerate(_arms_for(part, request.arms)):
                arm_weight = weight or (1.0 if place == 0 else SECONDARY_WEIGHT)
                plain = _search_request(request, part, arm)
                for backend in self._backends_for(arm):
                    skipped = relaxed if backend.name in FILTER_BACKENDS else 0
                    search = replace(plain, relaxation_steps=skipped) if skipped else plain
                    backend_search = BackendSearch(backend, search, arm_weight)
                    searches.setdefault(backend_search.key, backend_search)
        return searches

    def _backends_for(self, arm: str) -> list[ResilientBackend]:
        """Return the arm's available backends, or Qdrant if the graph is switched off."""
        names = [name for name in ARM_BACKENDS[arm] if name in self._backends]
        return [self._backends[name] for name in names or ["qdrant"]]


def _search_request(request: RetrievalRequest, part: SubQuery, arm: str) -> SearchRequest:
    return SearchRequest(
        query=part.text,
        embedding=part.embedding,
        intent=request.intent,
        limit=request.limit,
        today=request.today,
        time_range=parse_time_range(part.text, request.today) if arm == "temporal" else None,
    )


def _arms_for(part: SubQuery, arms: tuple[str, ...]) -> tuple[str, ...]:
    """Return the part's own arm first, and no more arms than for a whole question."""
    if part.arm is None:
        return arms
    return tuple(dict.fromkeys((part.arm, *arms)))[: max(len(arms), SUB_QUERY_ARMS_MIN)]


def _describe_correction(
    reason: str | None, searches: Iterable[BackendSearch], later: FanoutResult
) -> str:
    names = ", ".join(dict.fromkeys(search.backend.name for search in searches))
    without = "; ".join(
        dict.fromkeys(word for result in later.searched for word in result.left_out)
    )
    return f"{reason}: asked {names}" + (f" leaving out {without}" if without else "")
