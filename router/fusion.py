"""One ranking from several: reciprocal rank fusion (Cormack, Clarke, Büttcher 2009) and scores.

Within one backend both rank and score mean something; across backends only ranks are comparable.
The fused score is half of each, weighted by how much the backend is trusted for the question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from router.backends.base import Hit
from router.backends.words import fold

RRF_K = 60


@dataclass(frozen=True, slots=True)
class Ranking:
    """One backend's hits, best first, and its weight (above 0)."""

    backend: str
    hits: Sequence[Hit]
    weight: float = 1.0


def fuse(rankings: Sequence[Ranking], limit: int) -> list[Hit]:
    """Best first, each record once; ``scores`` says what each backend gave it.

    Records are the same when their ids or their folded texts are. The fused score is in (0, 1]:
    the weighted mean over all rankings, so agreement between backends counts.
    """
    total = sum(ranking.weight for ranking in rankings if ranking.hits)
    fused: dict[str, Hit] = {}
    same: dict[str, str] = {}
    for ranking in rankings:
        seen: set[str] = set()
        for place, hit in enumerate(ranking.hits):
            key = _key(hit, same)
            if key in seen:  # the same content twice in one ranking counts once
                continue
            seen.add(key)
            gain = ranking.weight / total * (_rank_score(place) + hit.score) / 2
            fused[key] = _merged(fused.get(key), hit, ranking.backend, gain)
    ranked = sorted(fused.values(), key=lambda hit: (-hit.score, hit.id))
    return ranked[:limit]


def _key(hit: Hit, same: dict[str, str]) -> str:
    content = fold(f"{hit.title} {hit.text}")
    return same.setdefault(f"id {hit.id}", same.setdefault(f"content {content}", hit.id))


def _rank_score(place: int) -> float:
    """1 for the first, falling as 1/(k + rank)."""
    return (RRF_K + 1) / (RRF_K + 1 + place)


def _merged(known: Hit | None, hit: Hit, backend: str, gain: float) -> Hit:
    if known is None:
        return replace(hit, score=gain, scores={backend: hit.score})
    scores: Mapping[str, float] = {backend: hit.score, **known.scores}
    return replace(known, score=min(1.0, known.score + gain), scores=dict(scores))
