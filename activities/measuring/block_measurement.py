"""Blocks of counts for statistical gates, measured at the block's own end."""

import asyncio
from datetime import timedelta

from activities.contract.errors import EffectError
from activities.measuring.query_batch import QueryBatch
from sluice.rollout.analysis import blocks
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Metric
from sluice.rollout.analysis.sequential_state import Block

CounterIncreases = dict[str, float | None]


async def measure_block(
    queries: QueryBatch, metric: Metric, block: Block, stale_after: timedelta
) -> Block:
    """Return the block with its counts, or with the problem that disqualifies them; never raise.

    The metric has a statistic.
    """
    assert metric.statistic is not None  # noqa: S101  plans are checked for it
    witness = blocks.reset_indicator(metric.statistic)
    try:
        treatment, control, problem = await asyncio.gather(
            _measure_increases(queries, metric, block, "treatment"),
            _measure_increases(queries, metric, block, "control"),
            _describe_interruption(queries, witness, block, stale_after),
        )
    except EffectError as error:
        return block.model_copy(update={"error": str(error)})
    problem = problem or _describe_gap("treatment", treatment) or _describe_gap("control", control)
    if problem:
        return block.model_copy(update={"problem": f"{problem} in {_format_span(block)}"})
    return block.model_copy(update={"treatment": treatment, "control": control})


async def _measure_increases(
    queries: QueryBatch, metric: Metric, block: Block, cohort: Cohort
) -> CounterIncreases:
    counters = metric.statistic.counters() if metric.statistic else {}
    pattern, span = metric.cohorts.pattern(cohort), block.until - block.since
    values = await asyncio.gather(
        *(
            queries.query(blocks.increase_query(c, pattern, span), block.until)
            for c in counters.values()
        )
    )
    return dict(zip(counters, values, strict=True))


async def _describe_interruption(
    queries: QueryBatch, counter: str, block: Block, stale_after: timedelta
) -> str:
    span = block.until - block.since
    resets, looks = await asyncio.gather(
        queries.query(blocks.reset_query(counter, span, stale_after), block.until),
        queries.query(blocks.coverage_query(counter, span, stale_after), block.until),
    )
    if resets:
        return "a counter was reset"
    expected = blocks.expected_coverage((block.since, block.until), stale_after)
    if (looks or 0) < expected:
        return f"nothing was scraped for {stale_after.total_seconds():.0f} s"
    return ""


def _describe_gap(cohort: str, increases: CounterIncreases) -> str:
    if any(value is None for value in increases.values()):
        return f"the {cohort} cohort has no counts"
    if any(value is not None and value < 0 for value in increases.values()):
        return f"a counter of the {cohort} cohort went down"
    return ""


def _format_span(block: Block) -> str:
    return f"{block.since:%m-%d %H:%M} to {block.until:%H:%M:%S}"
