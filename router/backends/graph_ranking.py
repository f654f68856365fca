"""The ranking of graph search results: by path from a name, by similarity from other records.

For a path from a named record the score counts hops, the relation and the kind in the question.
For a link from another record it counts the similarity of both ends to the question. The functions
are pure: rows in, hits out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from itertools import chain
from typing import Any

from router.backends.base import Hit, SearchRequest
from router.backends.tokenization import STOPWORDS, content_stems, fold, stem

GraphRow = Mapping[str, Any]
WORDS_WEIGHT = 0.3
"""The weight, on top of the cosine, of a record with all the question's words. Values from 0.2 to 0.5
did about as well on the even half of FanOutQA's questions (benchmarks/retrieval.py)."""
DEFAULT_COSINE = 0.5
"""The cosine of a record without a vector, which matched by its words."""
SIMILARITY_WEIGHT_WITH_PATH = 0.6
"""The weight of similarity when the question follows a relation from a name, or asks for a kind."""


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Named records with the paths from them, and similar records with their links."""

    named_records: Sequence[GraphRow]
    named_paths: Sequence[GraphRow]
    similar_records: Sequence[GraphRow] = ()
    similar_links: Sequence[GraphRow] = ()

    @property
    def rows(self) -> Iterator[GraphRow]:
        """Return every row; a record appears once for each path to it."""
        return chain(self.named_records, self.named_paths, self.similar_records, self.similar_links)

    def explain(self) -> dict[str, object]:
        """Return a summary for ``--explain``."""
        return {
            "named": sorted({entry["key"] for entry in self.named_records}),
            "nearest": [entry["title"] for entry in self.similar_records],
            "records": len(self.named_paths) + len(self.similar_links),
        }


def rank(search: SearchRequest, subgraph: Subgraph) -> list[Hit]:
    """Rank the records, best first; a record keeps its best score."""
    if not any(row["occurred_on"] for row in subgraph.rows):
        # When no record has a date, only the texts can match the time in the question.
        search = replace(search, time_range=None)
    stems = content_stems(search.query)
    target_kinds = _target_kinds(stems, subgraph.named_records, subgraph.named_paths)
    follows = bool(target_kinds) or any(
        _count_matched_relations(row, stems) for row in subgraph.named_paths
    )
    share = SIMILARITY_WEIGHT_WITH_PATH if follows else 1.0
    best: dict[str, Hit] = {}
    for row, score in _path_scores(search, subgraph, target_kinds):
        _keep_best(best, search, row, score)
    for row, score in _similarity_scores(stems, subgraph):
        _keep_best(best, search, row, score * share)
    return _sort_hits(search, list(best.values()))


def _path_scores(
    search: SearchRequest, reached: Subgraph, target_kinds: dict[str, int]
) -> Iterator[tuple[GraphRow, float]]:
    stems = content_stems(search.query)
    names = {entry["id"]: entry["key"] for entry in reached.named_records}
    origins: dict[str, set[str]] = {}
    for row in reached.named_paths:
        origins.setdefault(row["id"], set()).add(row["entry"])
    for entry in reached.named_records:
        yield entry, 0.35 + 0.1 * _word_overlap(entry, stems) + _link_bonus(entry, origins)
    for row in reached.named_paths:
        score = _path_score(row, stems, target_kinds) + _direction_bonus(search.query, row, names)
        yield row, score + _link_bonus(row, origins)


def _link_bonus(row: GraphRow, origins: Mapping[str, set[str]]) -> float:
    """Return a bonus for a record that links two names."""
    return 0.1 if len(origins.get(row["id"], ())) > 1 else 0.0


def _similarity_scores(
    stems: frozenset[str], reached: Subgraph
) -> Iterator[tuple[GraphRow, float]]:
    own = {entry["id"]: _similarity_score(entry, stems) for entry in reached.similar_records}
    for entry in reached.similar_records:
        yield entry, own[entry["id"]]
    for row in reached.similar_links:
        yield row, (own[row["entry"]] + _similarity_score(row, stems)) / 2


def _similarity_score(row: GraphRow, stems: frozenset[str]) -> float:
    """Return the similarity of a record to the question, in [0, 1]."""
    cosine = DEFAULT_COSINE if row["near"] is None else max(0.0, row["near"])
    return (cosine + WORDS_WEIGHT * _word_overlap(row, stems)) / (1 + WORDS_WEIGHT)


def _target_kinds(
    stems: frozenset[str], entries: Sequence[GraphRow], rows: Sequence[GraphRow]
) -> dict[str, int]:
    """Return the kinds that the question asks for, with their distance in hops.

    Kinds of the entry records are left out. Example: "Which customer does the contract behind INV-7 belong to": contract at one hop, customer at two.
    """
    known = {entry["kind"] for entry in entries}
    kinds: dict[str, int] = {}
    for row in rows:
        kind, hops = row["kind"], len(row["via"])
        if kind not in known and stem(kind) in stems:
            kinds[kind] = min(hops, kinds.get(kind, hops))
    return kinds


def _path_score(row: GraphRow, stems: frozenset[str], target_kinds: dict[str, int]) -> float:
    """Score a path; the kind in the question counts only at its nearest distance.

    Not all trucks of a depot are "the truck".
    """
    via: list[str] = row["via"]
    score = 0.4 if len(via) == 1 else 0.2
    if target_kinds.get(row["kind"]) == len(via):
        score += 0.3
    relations = _count_matched_relations(row, stems)
    return (
        score
        + (0.2 if relations == len(via) == 1 else 0.05 * relations)
        + 0.1 * _word_overlap(row, stems)
    )


def _direction_bonus(query: str, row: GraphRow, names: Mapping[str, str]) -> float:
    """Return a bonus for a link in the question's direction.

    "Anna reports to" means the link from Anna; "reports to Anna" means the links to her. The bonus
    needs the link's own verb in the question. A passive ("driven by Anna") reverses the direction.
    """
    if len(row["via"]) != 1 or row.get("outgoing") is None:
        return 0.0
    words = fold(query).split()
    verbs = _relation_stems(row["via"][0]) - STOPWORDS
    verb_place = next((place for place, word in enumerate(words) if stem(word) in verbs), None)
    text = " ".join(words)
    named = len(text.partition(names[row["entry"]])[0].split())
    if verb_place is None:
        return 0.0
    passive = words[verb_place + 1 : verb_place + 2] == ["by"]
    outgoing = (named < verb_place) != passive
    return 0.1 if outgoing == row["outgoing"] else 0.0


def _count_matched_relations(row: GraphRow, stems: frozenset[str]) -> int:
    """Count the links of the path whose relation is in the question."""
    return sum(bool(_relation_stems(kind) & stems) for kind in row["via"])


@lru_cache(maxsize=1024)
def _relation_stems(relation: str) -> frozenset[str]:
    return frozenset(stem(word) for word in relation.lower().split("_"))


def _word_overlap(row: GraphRow, stems: frozenset[str]) -> float:
    if not stems:
        return 0.0
    return len(stems & content_stems(f"{row['title']} {row['text']}")) / len(stems)


def _is_in_time_range(search: SearchRequest, row: GraphRow) -> bool:
    if search.time_range is None:
        return True
    if not row["occurred_on"]:
        return False
    return search.time_range.contains(date.fromisoformat(str(row["occurred_on"])[:10]))


def _sort_hits(search: SearchRequest, hits: list[Hit]) -> list[Hit]:
    order = search.time_range.order if search.time_range else None
    hits.sort(key=lambda hit: (-hit.score, hit.id))
    if order:
        # Sort by date among relevant records only (kinds or relations in the question).
        hits = [hit for hit in hits if hit.score >= 0.75 * hits[0].score]
        hits.sort(key=lambda hit: hit.occurred_on or "", reverse=order == "latest")
        hits = [replace(hit, score=1.0 / (1 + 0.2 * place)) for place, hit in enumerate(hits)]
    return hits


def _keep_best(best: dict[str, Hit], search: SearchRequest, row: GraphRow, score: float) -> None:
    hit = _hit(row, min(1.0, score))
    if _is_in_time_range(search, row) and (hit.id not in best or best[hit.id].score < hit.score):
        best[hit.id] = hit


def _hit(row: GraphRow, score: float) -> Hit:
    day = row["occurred_on"]
    return Hit(
        id=row["id"],
        title=row["title"],
        text=row["text"],
        source=row["source"],
        score=score,
        kind=row["kind"],
        backend="graph",
        occurred_on=str(day)[:10] if day else None,
    )
