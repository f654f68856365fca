"""The ranking of graph search results: by path from a name, by similarity from other records.

For a path from a named record the score counts hops, the relation and the kind in the question.
For a link from another record it counts the similarity of both ends to the question. The functions
are pure: rows in, hits out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from itertools import chain
from typing import Any

from router.backends.base import Hit, SearchRequest
from router.backends.tokenization import STOPWORDS, content_stems, fold, stem

GraphRow = Mapping[str, Any]
WORDS_WEIGHT = 0.4
"""The weight, on top of the cosine, of a record with all the question's words. Values from 0.2 to 0.5
did about as well on the even half of FanOutQA's questions (benchmarks/retrieval.py)."""
DEFAULT_COSINE = 0.5
"""The cosine of a record without a vector, which matched by its words."""
LINK_BONUS = 0.1
"""The bonus of a record that links two names."""
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
    question = _Question(search.query)
    target_kinds = _target_kinds(question.stems, subgraph.named_records, subgraph.named_paths)
    paths = {tuple(row["via"]) for row in subgraph.named_paths}
    follows = bool(target_kinds) or any(map(question.count_relations, paths))
    share = SIMILARITY_WEIGHT_WITH_PATH if follows else 1.0
    best: dict[str, tuple[float, GraphRow]] = {}
    for row, score in _path_scores(question, subgraph, target_kinds):
        _keep_best(best, search, row, score)
    for row, score in _similarity_scores(question, subgraph):
        _keep_best(best, search, row, score * share)
    return _sort_hits(search, best.values())


class _Question:
    """The question's words, and what they share with records and relations, computed once each."""

    def __init__(self, query: str) -> None:
        self.stems = content_stems(query)
        self._words = fold(query).split()
        self._word_stems = [stem(word) for word in self._words]
        self._text = " ".join(self._words)
        self._overlaps: dict[str, float] = {}

    def word_overlap(self, row: GraphRow) -> float:
        """Return the share of the question's words that the record contains."""
        if not self.stems:
            return 0.0
        share = self._overlaps.get(row["id"])
        if share is None:
            words = content_stems(f"{row['title']} {row['text']}")
            share = self._overlaps[row["id"]] = len(self.stems & words) / len(self.stems)
        return share

    def count_relations(self, path: Sequence[str]) -> int:
        """Count the links of the path whose relation is in the question."""
        return sum(not self.stems.isdisjoint(_relation_stems(kind)) for kind in path)

    def verb_place(self, relation: str) -> int | None:
        """Return the place of the relation's own verb in the question."""
        verbs = _relation_stems(relation) - STOPWORDS
        return next((at for at, word in enumerate(self._word_stems) if word in verbs), None)

    def is_passive(self, verb_place: int) -> bool:
        """Return True for a verb as in "driven by"."""
        return self._words[verb_place + 1 : verb_place + 2] == ["by"]

    def count_words_before(self, name: str) -> int:
        return len(self._text.partition(name)[0].split())


def _path_scores(
    question: _Question, reached: Subgraph, target_kinds: dict[str, int]
) -> Iterator[tuple[GraphRow, float]]:
    names = {entry["id"]: entry["key"] for entry in reached.named_records}
    between = _records_between(reached.named_paths)
    for entry in reached.named_records:
        bonus = LINK_BONUS if entry["id"] in between else 0.0
        yield entry, 0.35 + 0.1 * question.word_overlap(entry) + bonus
    by_path: dict[tuple[str, ...], float] = {}
    for row in reached.named_paths:  # hundreds of rows, and few different paths
        path = (row["kind"], *row["via"])
        score = by_path.get(path)
        if score is None:
            score = by_path[path] = _path_score(row, question, target_kinds)
        score += 0.1 * question.word_overlap(row)
        if row["outgoing"] is not None:
            score += _direction_bonus(question, row, names)
        yield row, score + LINK_BONUS if row["id"] in between else score


def _records_between(paths: Iterable[GraphRow]) -> set[str]:
    """Return the records that link two names."""
    origins: dict[str, str] = {}
    return {
        row["id"] for row in paths if origins.setdefault(row["id"], row["entry"]) != row["entry"]
    }


def _similarity_scores(question: _Question, reached: Subgraph) -> Iterator[tuple[GraphRow, float]]:
    scores_by_id = {
        entry["id"]: _similarity_score(entry, question) for entry in reached.similar_records
    }
    for entry in reached.similar_records:
        yield entry, scores_by_id[entry["id"]]
    for row in reached.similar_links:
        yield row, (scores_by_id[row["entry"]] + _similarity_score(row, question)) / 2


def _similarity_score(row: GraphRow, question: _Question) -> float:
    """Return the similarity of a record to the question, in [0, 1]."""
    cosine = DEFAULT_COSINE if row["near"] is None else max(0.0, row["near"])
    return (cosine + WORDS_WEIGHT * question.word_overlap(row)) / (1 + WORDS_WEIGHT)


def _target_kinds(
    stems: frozenset[str], entries: Sequence[GraphRow], rows: Sequence[GraphRow]
) -> dict[str, int]:
    """Return the kinds that the question asks for, with their distance in hops.

    Kinds of the entry records are left out. Example: "Which customer does the contract behind INV-7 belong to": contract at one hop, customer at two.
    """
    entry_kinds = {entry["kind"] for entry in entries}
    kinds: dict[str, int] = {}
    for kind, hops in {(row["kind"], len(row["via"])) for row in rows}:  # few pairs, many rows
        if kind not in entry_kinds and stem(kind) in stems:
            kinds[kind] = min(hops, kinds.get(kind, hops))
    return kinds


def _path_score(row: GraphRow, question: _Question, target_kinds: dict[str, int]) -> float:
    """Score a path; the kind in the question counts only at its nearest distance.

    Not all trucks of a depot are "the truck".
    """
    via: list[str] = row["via"]
    score = 0.4 if len(via) == 1 else 0.2
    if target_kinds.get(row["kind"]) == len(via):
        score += 0.3
    relations = question.count_relations(via)
    return score + (0.2 if relations == len(via) == 1 else 0.05 * relations)


def _direction_bonus(question: _Question, row: GraphRow, names: Mapping[str, str]) -> float:
    """Return a bonus for a link in the question's direction.

    "Anna reports to" means the link from Anna; "reports to Anna" means the links to her. The bonus
    needs the link's own verb in the question. A passive ("driven by Anna") reverses the direction.
    """
    if len(row["via"]) != 1:
        return 0.0
    verb_place = question.verb_place(row["via"][0])
    if verb_place is None:
        return 0.0
    is_after_name = question.count_words_before(names[row["entry"]]) < verb_place
    outgoing = is_after_name != question.is_passive(verb_place)
    return 0.1 if outgoing == row["outgoing"] else 0.0


@lru_cache(maxsize=1024)
def _relation_stems(relation: str) -> frozenset[str]:
    return frozenset(stem(word) for word in relation.lower().split("_"))


def _is_in_time_range(search: SearchRequest, row: GraphRow) -> bool:
    if search.time_range is None:
        return True
    if not row["occurred_on"]:
        return False
    return search.time_range.contains(date.fromisoformat(str(row["occurred_on"])[:10]))


def _sort_hits(search: SearchRequest, best: Iterable[tuple[float, GraphRow]]) -> list[Hit]:
    order = search.time_range.order if search.time_range else None
    ranked = sorted(best, key=lambda scored: (-scored[0], scored[1]["id"]))
    if not order:
        return [_hit(row, score) for score, row in ranked[: search.limit]]
    # Sort by date among relevant records only (kinds or relations in the question).
    hits = [_hit(row, score) for score, row in ranked if score >= 0.75 * ranked[0][0]]
    hits.sort(key=lambda hit: hit.occurred_on or "", reverse=order == "latest")
    return [replace(hit, score=1.0 / (1 + 0.2 * place)) for place, hit in enumerate(hits)]


def _keep_best(
    best: dict[str, tuple[float, GraphRow]], search: SearchRequest, row: GraphRow, score: float
) -> None:
    record, score = row["id"], min(1.0, score)
    before = best.get(record)
    if (before is None or before[0] < score) and _is_in_time_range(search, row):
        best[record] = (score, row)


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
