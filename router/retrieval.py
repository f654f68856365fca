"""From a plan to hits: which backend is asked what, and what to try when the answer won't do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from router.backends.base import Hit, Search, Vector
from router.backends.guard import Guard
from router.backends.windows import Window, window_of
from router.correction import FILTERING, insufficient, next_try
from router.decisions import ARM_BACKENDS
from router.errors import StoreUnavailable
from router.fanout import Found, Inquiry, fan_out
from router.fusion import fuse
from router.options import Features

PARTS_MAX = 3
PART_ARMS_MIN = 2
"""Its own and the one chosen for the whole question, which its reward is credited to."""
EVIDENCE_SHARE = 0.3
"""Of the time left, for asking whether the stores know of a question at all."""
Key = tuple[str, str, Window | None, int]
"""What makes two searches the same: backend, text, time, conditions left out."""
LATER_WEIGHT = 0.8
"""Of every arm but the one that was chosen: it is asked because the choice may not be enough."""


@dataclass(frozen=True, slots=True)
class Part:
    """One question to search for, with its vector.

    ``arm`` suits it best by itself: half of a question may be of another kind than the whole.
    """

    text: str
    embedding: Vector
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to retrieve: one part, or several of a decomposed question."""

    parts: tuple[Part, ...]
    intent: str
    arms: tuple[str, ...]
    limit: int
    today: date


@dataclass(frozen=True, slots=True)
class Tries:
    """The arms asked so far, each single search, and how many conditions the last try left out."""

    arms: tuple[str, ...] = ()
    searches: frozenset[Key] = frozenset()
    relaxed: int = 0


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Hits best first, and how they came about.

    ``wanting`` is why they won't do, in words, None when they will, ``contradictory`` whether that
    lies in the question itself; ``tries`` are all searches so far; ``corrections`` says in words
    what was tried beyond the plan.
    """

    hits: tuple[Hit, ...]
    found: Found
    wanting: str | None = None
    contradictory: bool = False
    tries: Tries = Tries()
    corrections: tuple[str, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Conditions of the question that the hits need not meet, in words."""
        return self.found.left_out


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
        search = Search("", vector, "semantic", 1, datetime.now(UTC).date())
        try:
            found = await self._backends["qdrant"].search(search, share=EVIDENCE_SHARE)
        except StoreUnavailable:
            return None
        return found.hits[0].score if found.hits else 0.0

    async def once(self, wanted: Wanted) -> Retrieved:
        """The plan as it is."""
        asked = self._inquiries(wanted)
        found = await fan_out(asked.values())
        hits = self._fused(found, wanted.limit)
        wanting = insufficient(hits, found.contradiction, found.left_out if hits else ())
        tries = Tries(wanted.arms, _done(asked, found))
        return Retrieved(hits, found, wanting, bool(found.contradiction), tries)

    async def again(self, wanted: Wanted, before: Retrieved) -> Retrieved | None:
        """One correction: another plan. None when there is none that asks anything new."""
        tries = before.tries
        step = next_try(
            wanted.intent, tries.arms, tries.relaxed, contradictory=before.contradictory
        )
        other = replace(wanted, arms=step.arms)
        # A search without conditions has none to leave out: it would be the same search again.
        relaxed = step.relaxed if any(each.demands for each in before.found.searched) else 0
        asked = self._inquiries(other, relaxed=relaxed, weight=LATER_WEIGHT)
        fresh = {key: one for key, one in asked.items() if key not in tries.searches}
        if not fresh:
            return None
        later = await fan_out(fresh.values())
        found = before.found.and_then(later)
        hits = self._fused(found, wanted.limit)
        return Retrieved(
            hits,
            found,
            insufficient(hits, later.contradiction),
            bool(later.contradiction),
            Tries((*tries.arms, *step.arms), tries.searches | _done(fresh, later), relaxed),
            (*before.corrections, _said(before.wanting, fresh.values(), later)),
        )

    def reason_to_correct(self, retrieved: Retrieved, attempt: int) -> str | None:
        """Why another try is due; a failed store is always made up for once."""
        if attempt >= self._features.max_correction_retries:
            return None
        if self._features.enable_self_correction or (retrieved.found.failures and attempt == 0):
            return retrieved.wanting
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
        self, wanted: Wanted, *, relaxed: int = 0, weight: float | None = None
    ) -> dict[Key, Inquiry]:
        """Each search once, with the weight of the first arm that asks it."""
        inquiries: dict[Key, Inquiry] = {}
        for part in wanted.parts[:PARTS_MAX]:
            for place, arm in enumerate(_arms(part, wanted.arms)):
                window = window_of(part.text, wanted.today) if arm == "temporal" else None
                for backend in self._of(arm):
                    left_out = relaxed if backend.name in FILTERING else 0
                    key = (backend.name, part.text, window, left_out)
                    if key in inquiries:
                        continue
                    search = Search(
                        query=part.text,
                        embedding=part.embedding,
                        intent=wanted.intent,
                        limit=wanted.limit,
                        today=wanted.today,
                        window=window,
                        relaxed=left_out,
                    )
                    share = weight or (1.0 if place == 0 else LATER_WEIGHT)
                    inquiries[key] = Inquiry(backend, search, share)
        return inquiries

    def _of(self, arm: str) -> list[Guard]:
        """The arm's backends that exist; Qdrant where none does (graph switched off)."""
        names = [name for name in ARM_BACKENDS[arm] if name in self._backends]
        return [self._backends[name] for name in names or ["qdrant"]]


def _arms(part: Part, arms: tuple[str, ...]) -> tuple[str, ...]:
    """The part's own arm first, and no more of them than of a whole question."""
    if part.arm is None:
        return arms
    return tuple(dict.fromkeys((part.arm, *arms)))[: max(len(arms), PART_ARMS_MIN)]


def _done(asked: Iterable[Key], found: Found) -> frozenset[Key]:
    """What need not be asked again; a store that failed may be."""
    return frozenset(key for key in asked if key[0] not in found.failures)


def _said(why: str | None, asked: Iterable[Inquiry], later: Found) -> str:
    names = ", ".join(dict.fromkeys(inquiry.backend.name for inquiry in asked))
    without = "; ".join(dict.fromkeys(word for each in later.searched for word in each.left_out))
    return f"{why}: asked {names}" + (f" leaving out {without}" if without else "")
