"""Blocks of counts for statistical gates, measured at the block's own end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.contract.errors import EffectError
from activities.measuring.query_batch import QueryBatch
from sluice.rollout.analysis import blocks
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Metric
from sluice.rollout.analysis.sequential_state import Block
from sluice.rollout.analysis.statistic import AnyStatistic, counted_since_selector

_COHORTS: tuple[Cohort, ...] = ("treatment", "control")


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
    block_queries = _BlockQueries((metric, metric.statistic), block, stale_after)
    try:
        values = await queries.query_many(block_queries.promqls(), block.until)
    except EffectError as error:
        return block.model_copy(update={"error": str(error)})
    readings = block_queries.read(values)
    problem = readings.problem((block.since, block.until), stale_after, live_since)
    if problem:
        return block.model_copy(update={"problem": f"{problem} in {_format_span(block)}"})
    since = readings.counted_since[1] if readings.counted_since else None
    increases = {str(cohort): counts for cohort, counts in readings.increases.items()}
    return block.model_copy(update={**increases, "counted_since": since})


@dataclass(frozen=True)
class _BlockQueries:
    """The queries that measure one block."""

    counted: tuple[Metric, AnyStatistic]
    block: Block
    stale_after: timedelta

    @property
    def span(self) -> timedelta:
        return self.block.until - self.block.since

    def promqls(self) -> list[str]:
        """Return the increases of both cohorts' counters, the scrapes, and since when users are counted.

        Processes that restarted meanwhile do not count.
        """
        metric, statistic = self.counted
        indicator, selector = blocks.reset_indicator(statistic), counted_since_selector(statistic)
        reset = blocks.reset_query(indicator, self.span, self.stale_after)
        promqls = [
            blocks.increase_query(counter, metric.cohorts.pattern(cohort), self.span, reset)
            for cohort in _COHORTS
            for counter in statistic.counters().values()
        ]
        promqls.append(blocks.coverage_query(indicator, self.span, self.stale_after))
        if selector is not None:
            promqls.append(blocks.counted_since_query(selector, self.span))
            promqls.append(blocks.counted_since_query(selector))
        return promqls

    def read(self, values: Sequence[float | None]) -> blocks.BlockReadings:
        """Return the answers to these queries."""
        names = list(self.counted[1].counters())
        treatment, control, (scrapes, *since) = (
            values[: len(names)],
            values[len(names) : 2 * len(names)],
            values[2 * len(names) :],
        )
        return blocks.BlockReadings(
            {
                "treatment": dict(zip(names, treatment, strict=True)),
                "control": dict(zip(names, control, strict=True)),
            },
            scrapes,
            (since[0], since[1]) if since else None,
        )


def _format_span(block: Block) -> str:
    return f"{block.since:%m-%d %H:%M} to {block.until:%H:%M:%S}"
