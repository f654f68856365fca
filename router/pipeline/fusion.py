"""One ranking from several: reciprocal rank fusion (Cormack, Clarke, Büttcher 2009) and scores.

Within one backend both rank and score mean something; across backends only ranks are comparable.
The fused score is half of each, weighted by the ranking's own weight and by trust: what follows links
finds what nothing else does, a filter that had little to go by finds anything, and stores that agree
on the obvious must not crowd that out. Without trust, fusing the three stores is worse on multi-hop
questions than the graph alone (benchmarks/retrieval.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from router.backends.base import Hit
from router.backends.tokenization import fold

RRF_K = 60
TRUST_WEIGHTS = {"qdrant": 0.4}
"""Against the graph's 1: its nearest records are the graph's too, the graph adds what they link to."""
COMPLETE_BACKENDS = frozenset({"qdrant"})
"""Backends that rank every record. What another one leaves out does not meet its conditions."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """One backend's hits, best first, and its weight (above 0)."""

    backend: str
    hits: Sequence[Hit]
    weight: float = 1.0


def fuse(rankings: Sequence[Ranking], limit: int) -> list[Hit]:
    """Best first, each record once; ``scores`` says what each backend gave it.

    Records are the same when their ids or their folded texts are. The fused score is in (0, 1]: the
    weighted mean over the backends, so agreement between backends counts. Several rankings of one
    backend (parts of a question, later tries) are one voice: its best for each record.
    """
    weights: dict[str, float] = {}
    for ranking in rankings:
        if ranking.hits:
            weights[ranking.backend] = max(
                effective_weight(ranking), weights.get(ranking.backend, 0.0)
            )
    total = sum(weights.values())
    fused: dict[str, _FusedRecord] = {}
    ids_by_key: dict[str, str] = {}
    for ranking in rankings:
        for place, hit in enumerate(ranking.hits):
            record = fused.setdefault(_key(hit, ids_by_key), _FusedRecord(hit))
            record.add(ranking.backend, _gain(ranking, place, hit.score) / total, hit.score)
    unlisted = {
        name: gain / total for name, gain in _gains_behind_the_last(rankings, limit).items()
    }
    hits = [record.result(unlisted) for record in fused.values()]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]


def _gain(ranking: Ranking, place: int, score: float) -> float:
    return effective_weight(ranking) * (_rank_score(place) + score) / 2


def _gains_behind_the_last(rankings: Sequence[Ranking], limit: int) -> dict[str, float]:
    """Return what a record has from a backend that would list it after its last hit.

    Every record has a place among all vectors. A full list of the nearest does not show it.
    """
    gains: dict[str, float] = {}
    for ranking in rankings:
        if ranking.backend in COMPLETE_BACKENDS and len(ranking.hits) >= limit:
            gain = _gain(ranking, len(ranking.hits), ranking.hits[-1].score)
            gains[ranking.backend] = max(gain, gains.get(ranking.backend, 0.0))
    return gains


def effective_weight(ranking: Ranking) -> float:
    """Return the ranking's weight; Postgres reports the certainty of its filter."""
    if ranking.backend == "postgres" and ranking.hits:
        return ranking.weight * ranking.hits[0].score ** 2
    return ranking.weight * TRUST_WEIGHTS.get(ranking.backend, 1.0)


@dataclass(slots=True)
class _FusedRecord:
    """One record and what each backend makes of it."""

    hit: Hit
    gains: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    def add(self, backend: str, gain: float, score: float) -> None:
        self.gains[backend] = max(gain, self.gains.get(backend, 0.0))
        self.scores[backend] = max(score, self.scores.get(backend, 0.0))

    def result(self, unlisted: Mapping[str, float]) -> Hit:
        """Return the hit; ``unlisted`` are the gains where a backend does not list it."""
        score = sum({**unlisted, **self.gains}.values())
        return replace(self.hit, score=min(1.0, score), scores=self.scores)


def _key(hit: Hit, ids_by_key: dict[str, str]) -> str:
    content = fold(f"{hit.title} {hit.text}")
    return ids_by_key.setdefault(
        f"id {hit.id}", ids_by_key.setdefault(f"content {content}", hit.id)
    )


def _rank_score(place: int) -> float:
    """1 for the first, falling as 1/(k + rank)."""
    return (RRF_K + 1) / (RRF_K + 1 + place)
