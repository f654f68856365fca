"""One ranking from several: reciprocal rank fusion (Cormack, Clarke, Büttcher 2009) and scores.

Within one backend both rank and score mean something; across backends only ranks are comparable.
The fused score is half of each, weighted by the ranking's own weight and by trust: what follows links
finds what nothing else does, a filter that had little to go by finds anything, and stores that agree
on the obvious must not crowd that out. Without trust, fusing the three stores is worse on multi-hop
questions than the graph alone (benchmarks/retrieval.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from router.backends.base import Hit
from router.backends.tokenization import fold

RRF_K = 60
TRUST_WEIGHTS = {"qdrant": 0.4}
"""Against the graph's 1: its nearest records are the graph's too, the graph adds what they link to."""


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
            gain = effective_weight(ranking) / total * (_rank_score(place) + hit.score) / 2
            record = fused.setdefault(_key(hit, ids_by_key), _FusedRecord(hit))
            record.add(ranking.backend, gain, hit.score)
    hits = [record.result() for record in fused.values()]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]


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

    def result(self) -> Hit:
        return replace(self.hit, score=min(1.0, sum(self.gains.values())), scores=self.scores)


def _key(hit: Hit, ids_by_key: dict[str, str]) -> str:
    content = fold(f"{hit.title} {hit.text}")
    return ids_by_key.setdefault(
        f"id {hit.id}", ids_by_key.setdefault(f"content {content}", hit.id)
    )


def _rank_score(place: int) -> float:
    """1 for the first, falling as 1/(k + rank)."""
    return (RRF_K + 1) / (RRF_K + 1 + place)
