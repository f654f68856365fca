"""Retrieval on multi-hop questions: each store alone, all of them fused, and what the router does.

FanOutQA's questions (benchmarks/support/retrieval_set.py says what is made of them) over the embedded
stores, ingested as `sluice ingest` does. Recall@10 is the share of a question's pages among ten
results, MRR the mean of 1/rank of its first one. Cost: searches per question, and milliseconds of
them (searches of one question run at once, so that is work, not waiting).

    pip download --no-deps --dest /tmp fanoutqa==1.1.1
    uv run python -m benchmarks.retrieval --wheel /tmp/fanoutqa-1.1.1-py3-none-any.whl [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.support.retrieval_set import MultiHopQuestion, read_set
from router.assembly import assemble
from router.backends.base import Hit
from router.components import RouterComponents, SuppliedClients
from router.embedding import LocalEmbedder
from router.features import Features
from router.knowledge.ingestion import Ingestion
from router.knowledge.sources import Source
from router.observability.metrics import RouterMetrics
from router.pipeline.correction import FALLBACKS
from router.pipeline.query_request import QueryRequest
from router.pipeline.query_understanding import AnalyzedQuery
from router.pipeline.retrieval import RetrievalRequest, SubQuery
from router.settings import Settings
from router.store_clients import open_stores
from sluice.stack import Stack
from sluice.stack.owner_watchdog import watch_owner

SERVICES = ("redis", "postgres", "graph", "qdrant")
STORES = ("graph", "postgres", "qdrant")
RESULTS = 10
SearchFunction = Callable[[str], Awaitable[Sequence[Hit]]]


@dataclass(slots=True)
class RetrievalStats:
    """One way of searching, over all questions."""

    recalls: list[float] = field(default_factory=list)
    ranks: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)

    def add(self, question: MultiHopQuestion, hits: Sequence[Hit], wait_ms: float) -> None:
        ids = [_page_id(hit) for hit in hits][:RESULTS]
        self.recalls.append(len(question.page_ids & set(ids)) / len(question.page_ids))
        first = next(
            (place for place, name in enumerate(ids, 1) if name in question.page_ids), None
        )
        self.ranks.append(1 / first if first else 0.0)
        self.waits_ms.append(wait_ms)

    def summary(self, spent: tuple[float, float]) -> dict[str, float]:
        """``spent``: searches and their seconds, all together."""
        searches, seconds = spent
        count = len(self.recalls)
        return {
            "recall_at_10": round(statistics.fmean(self.recalls), 4),
            "mrr": round(statistics.fmean(self.ranks), 4),
            "searches": round(searches / count, 2),
            "search_ms": round(seconds * 1000 / count, 2),
            "wait_ms_p50": round(statistics.median(self.waits_ms), 2),
        }


def _page_id(hit: Hit) -> str:
    """Return the page's own id: a record's id begins with its file and may end with a piece's number."""
    return hit.id.partition("#")[2].partition(".")[0]


async def measure(wheel: Path, folder: Path) -> dict[str, Any]:
    """Start the stores, fill them, ask everything in each way."""
    known, held_out, lines = read_set(wheel)
    stack = Stack(folder, os.environ)
    try:
        await stack.up(SERVICES)
        settings = Settings.from_environment({**os.environ, **stack.environment()})
        tally = await _ingest_set(settings, lines)
        print(f"{tally.written} records, {tally.links} links", file=sys.stderr)
        metrics = RouterMetrics()
        # Without the cache and the log: each question is searched for, and nothing else.
        features = Features(enable_semantic_cache=False, enable_analytics=False)
        parts = await assemble(SuppliedClients(), settings, features, metrics)
        try:
            splits = {
                "known": await _measure_split(known, parts, metrics),
                "held out": await _measure_split(held_out, parts, metrics),
            }
        finally:
            await parts.close()
    finally:
        await stack.down()
    return {"records": tally.written, "links": tally.links, "splits": splits}


async def _measure_split(
    asked: Sequence[MultiHopQuestion], parts: RouterComponents, metrics: RouterMetrics
) -> dict[str, Any]:
    return {"questions": len(asked), "ways": await _measure_ways(asked, parts, metrics)}


async def _ingest_set(settings: Settings, lines: str) -> Any:  # noqa: ANN401 - the ingestion's tally
    stores = await open_stores(settings.stores)
    try:
        ingestion = Ingestion(stores, LocalEmbedder(), None)
        await ingestion.prepare()
        await ingestion.ingest_source(Source("fanoutqa.jsonl", ".jsonl", lines), lambda _: None)
        await ingestion.finish()
    finally:
        await stores.close()
    if ingestion.summary.problems:
        raise RuntimeError(f"not ingested: {ingestion.summary.problems[0]}")
    return ingestion.summary


async def _measure_ways(
    asked: Sequence[MultiHopQuestion], parts: RouterComponents, metrics: RouterMetrics
) -> dict[str, Any]:
    understood = {each.text: await parts.understanding.analyze(each.text) for each in asked}

    def stores(*names: str) -> SearchFunction:
        async def search(text: str) -> Sequence[Hit]:
            return (
                await parts.retrieval.retrieve(_retrieval_request(understood[text], names))
            ).hits

        return search

    async def routed(text: str) -> Sequence[Hit]:
        return (await parts.pipeline.answer(QueryRequest(text, limit=RESULTS))).results

    async def fused(text: str) -> Sequence[Hit]:
        return await stores(*FALLBACKS[understood[text].intent.intent])(text)

    ways = {**{name: stores(name) for name in STORES}, "fused": fused, "routed": routed}
    return {name: await _ask_all(asked, search, metrics) for name, search in ways.items()}


def _retrieval_request(understood: AnalyzedQuery, arms: tuple[str, ...]) -> RetrievalRequest:
    return RetrievalRequest(
        sub_queries=(SubQuery(understood.text, understood.vector),),
        intent=understood.intent.intent,
        arms=arms,
        limit=RESULTS,
        today=datetime.now(UTC).date(),
    )


async def _ask_all(
    asked: Sequence[MultiHopQuestion], search: SearchFunction, metrics: RouterMetrics
) -> dict[str, float]:
    for each in asked[:5]:  # connections, catalogues
        await search(each.text)
    tally, before = RetrievalStats(), _search_cost(metrics)
    for each in asked:
        started = time.perf_counter()
        hits = await search(each.text)
        tally.add(each, hits, (time.perf_counter() - started) * 1000)
    searches, seconds = _search_cost(metrics)
    return tally.summary((searches - before[0], seconds - before[1]))


def _search_cost(metrics: RouterMetrics) -> tuple[float, float]:
    """Return the number of searches so far, and their seconds."""
    samples = [s for family in metrics.backend_seconds.collect() for s in family.samples]
    count, total = (
        sum(s.value for s in samples if s.name.endswith(end)) for end in ("_count", "_sum")
    )
    return count, total


def headline(ways: dict[str, dict[str, float]]) -> str:
    """One line: the best single store, fused, routed."""
    best = max(STORES, key=lambda name: ways[name]["recall_at_10"])
    return "; ".join(
        f"{name}: recall@10 {ways[key]['recall_at_10']:.3f}, MRR {ways[key]['mrr']:.3f}, "
        f"{ways[key]['searches']:.2f} searches, {ways[key]['search_ms']:.1f} ms"
        for name, key in ((f"best store ({best})", best), ("fused", "fused"), ("routed", "routed"))
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--wheel", type=Path, required=True, help="fanoutqa's wheel from PyPI")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        watch_owner(Path(folder)),  # a benchmark that is killed leaves no server behind
    ):
        result = asyncio.run(measure(options.wheel, Path(folder)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    for split, found in result["splits"].items():
        print(f"{split}: {found['questions']} questions")
        for name, figures in found["ways"].items():
            print(f"{name:<9}" + "".join(f"{key} {value:<9}" for key, value in figures.items()))
        print(headline(found["ways"]))


if __name__ == "__main__":
    main()
