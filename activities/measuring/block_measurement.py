"""Blocks of counts for statistical gates, measured at the block's own end."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.contract.errors import EffectError
from activities.measuring.query_batch import QueryBatch
from sluice.rollout.analysis import blocks
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Metric
from sluice.rollout.analysis.sequential_state import Block
from sluice.rollout.analysis.statistic import AnyStatistic, counted_since_selector

CounterIncreases = dict[str, float | None]


async def measure_block(
    queries: QueryBatch,
    metric: Metric,
    block: Block,
    times: tuple[datetime, timedelta],
) -> Block:
    """Return the block with its counts, or with the problem that disqualifies them; never raise.

    The metric has a statistic. ``times``: when the share went live, and the plan's ``stale_after``.
    """
    live_since, stale_after = times
    assert metric.statistic is not None  # noqa: S101  plans are checked for it
    measured = _BlockQueries(queries, (metric, metric.statistic), block, stale_after)
    try:
        treatment, control, gap, counted_since = await asyncio.gather(
            measured.increases("treatment"),
            measured.increases("control"),
            measured.describe_scrape_gap(),
            measured.counted_since(),
        )
    except EffectError as error:
        return block.model_copy(update={"error": str(error)})
    problem = gap or _describe_gap("treatment", treatment) or _describe_gap("control", control)
    if counted_since is not None and not problem:
        problem = blocks.counted_since_problem(*counted_since, live_since)
    if problem:
        return block.model_copy(update={"problem": f"{problem} in {_format_span(block)}"})
    since = counted_since[1] if counted_since else None
    return block.model_copy(
        update={"treatment": treatment, "control": control, "counted_since": since}
    )


@dataclass(frozen=True)
class _BlockQueries:
    """The queries that measure one block."""

    queries: QueryBatch
    counted: tuple[Metric, AnyStatistic]
    block: Block
    stale_after: timedelta

    @property
    def span(self) -> timedelta:
        return self.block.until - self.block.since

    async def increases(self, cohort: Cohort) -> CounterIncreases:
        """Return the increase of each counter. Processes that restarted meanwhile do not count."""
        metric, statistic = self.counted
        counters, pattern = statistic.counters(), metric.cohorts.pattern(cohort)
        indicator = blocks.reset_indicator(statistic)
        reset = blocks.reset_query(indicator, self.span, self.stale_after)
        values = await asyncio.gather(
            *(
                self._query(blocks.increase_query(selector, pattern, self.span, reset))
                for selector in counters.values()
            )
        )
        return dict(zip(counters, values, strict=True))

    async def describe_scrape_gap(self) -> str:
        """Return the reason why scrapes are missing, or an empty text."""
        counter = blocks.reset_indicator(self.counted[1])
        looks = await self._query(blocks.coverage_query(counter, self.span, self.stale_after))
        expected = blocks.expected_coverage((self.block.since, self.block.until), self.stale_after)
        if (looks or 0) < expected:
            return f"nothing was scraped for {self.stale_after.total_seconds():.0f} s"
        return ""

    async def counted_since(self) -> tuple[float | None, float | None] | None:
        """Return since when users are counted, at both ends; None for a statistic without it."""
        selector = counted_since_selector(self.counted[1])
        if selector is None:
            return None
        before, after = await asyncio.gather(
            self._query(blocks.counted_since_query(selector, self.span)),
            self._query(blocks.counted_since_query(selector)),
        )
        return before, after

    async def _query(self, promql: str) -> float | None:
        return await self.queries.query(promql, self.block.until)


def _describe_gap(cohort: str, increases: CounterIncreases) -> str:
    if any(value is None for value in increases.values()):
        return f"the {cohort} cohort has no counts"
    if any(value is not None and value < 0 for value in increases.values()):
        return f"a counter of the {cohort} cohort went down"
    return ""


def _format_span(block: Block) -> str:
    return f"{block.since:%m-%d %H:%M} to {block.until:%H:%M:%S}"
