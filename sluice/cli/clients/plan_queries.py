"""Each query of a plan, asked of Prometheus once: before a start, and by the doctor."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from sluice.cli.clients.prometheus import open_prometheus, read_answer
from sluice.cli.context import Context
from sluice.rollout.analysis.blocks import render_selector
from sluice.rollout.analysis.cohorts import EVERY_VALUE
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.promql import parse_selectors
from sluice.rollout.plan.metric_catalog import ROUTER_SERIES
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.yaml_document import Problem

QUERIES_AT_ONCE = 8
_DEFAULT_WINDOW = timedelta(minutes=5)


@dataclass(frozen=True)
class QueryReport:
    """The problems of a plan's queries. ``errors`` never go away by waiting; ``missing`` may."""

    errors: tuple[Problem, ...] = ()
    missing: tuple[Problem, ...] = ()


async def ask_each_query(context: Context, plan: RolloutPlan) -> QueryReport:
    """Ask Prometheus every query and every metric name of the plan once.

    Raises:
        PrometheusUnreachableError: one of them got no answer.
        CliError: a credential can't be used.
    """
    async with open_prometheus(context) as http:
        asker = _Asker(http, asyncio.Semaphore(QUERIES_AT_ONCE))
        queries, names = list(_queries(plan)), list(_metric_names(plan))
        problems = await asyncio.gather(*(asker.query_problem(text) for _, text in queries))
        counts = await asyncio.gather(*(asker.count_series(name) for _, name in names))
        unmatched = await _unmatched_counters(asker, plan)
    errors = [
        (place, problem) for (place, _), problem in zip(queries, problems, strict=True) if problem
    ]
    absent = [
        (place, name) for (place, name), count in zip(names, counts, strict=True) if not count
    ]
    unknown = [(place, _missing(name)) for place, name in absent if name not in ROUTER_SERIES]
    later = [(place, _missing(name)) for place, name in absent if name in ROUTER_SERIES]
    return QueryReport(errors=(*errors, *unknown), missing=(*later, *unmatched))


async def _unmatched_counters(asker: "_Asker", plan: RolloutPlan) -> list[Problem]:
    """Return the counters whose name has series, but none with these labels: an edge, a stratum."""
    places = [
        (("metrics", name, "statistic"), selector)
        for name, metric in plan.metrics.items()
        for selector in _counters(metric)
    ]
    counts = await asyncio.gather(*(asker.count_matches(selector) for _, selector in places))
    return [
        (place, f"Prometheus has no series that matches {selector}; its gate can't decide on it")
        for (place, selector), count in zip(places, counts, strict=True)
        if not count
    ]


def _missing(name: str) -> str:
    return f"Prometheus has no series {name!r}; check the name, and the scrape configuration"


@dataclass(frozen=True)
class _Asker:
    http: httpx.AsyncClient
    limit: asyncio.Semaphore

    async def query_problem(self, promql: str) -> str:
        """Return the reason why ``promql`` gives no single value, or an empty text."""
        answer = await self._ask(promql)
        if answer["status"] != "success":
            return f"Prometheus refuses it: {answer.get('error', 'no reason given')}"
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "vector" and len(result) > 1:
            return f"gives {len(result)} series; aggregate it to one, for example with sum()"
        return ""

    async def count_series(self, name: str) -> bool:
        """Return True when Prometheus has a series of this name now."""
        return await self.count_matches(f'{{__name__="{name}"}}')

    async def count_matches(self, selector: str) -> bool:
        """Return True when Prometheus has a series that matches the selector now."""
        answer = await self._ask(f"count({selector})")
        return bool(answer.get("data", {}).get("result"))

    async def _ask(self, promql: str) -> dict[str, Any]:
        async with self.limit:
            return await read_answer(self.http, "query", query=promql)


def _queries(plan: RolloutPlan) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, metric in plan.metrics.items():
        windows = [gate.window for _, gate in plan.rules() if gate.metric == name]
        gate = Gate(metric=name, threshold=0, window=max(windows, default=_DEFAULT_WINDOW))
        yield ("metrics", name, "query"), metric.value_query(gate, "all")
        if counting := metric.samples_query(gate, "all"):
            yield ("metrics", name, "samples"), counting
        for selector in _counters(metric):
            yield ("metrics", name, "statistic"), f"sum({selector})"


def _counters(metric: Metric) -> Iterator[str]:
    """Yield the selectors of the counters that a statistical gate weighs."""
    if metric.statistic is not None:
        for selector in metric.statistic.counters().values():
            yield render_selector(selector, EVERY_VALUE)


def _metric_names(plan: RolloutPlan) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each metric name that must exist, at the first place that uses it."""
    seen: set[str] = set()
    for name, metric in plan.metrics.items():
        for field, text in _templates(metric):
            for selector in parse_selectors(text).selectors:
                if selector.metric and not selector.is_absence and selector.metric not in seen:
                    seen.add(selector.metric)
                    yield ("metrics", name, field), selector.metric


def _templates(metric: Metric) -> Iterator[tuple[str, str]]:
    gate = Gate(metric="any", threshold=0, window=_DEFAULT_WINDOW)
    yield "query", metric.value_query(gate, "all")
    if counting := metric.samples_query(gate, "all"):
        yield "samples", counting
    for selector in _counters(metric):
        yield "statistic", selector
