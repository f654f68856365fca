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

CounterIncreases = dict[str, float | None]
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
    measured = block_queries.read(values)
    problem = (
        measured.scrape_gap
        or _describe_gap("treatment", measured.treatment)
        or _describe_gap("control", measured.control)
    )
    if measured.counted_since and not problem:
        problem = blocks.counted_since_problem(*measured.counted_since, live_since)
    if problem:
        return block.model_copy(update={"problem": f"{problem} in {_format_span(block)}"})
    increases = {"treatment": measured.treatment, "control": measured.control}
    since = measured.counted_since[1] if measured.counted_since else None
    return block.model_copy(update={**increases, "counted_since": since})


@dataclass(frozen=True)
class _Measured:
    """The answers for one block. ``counted_since``: at both ends, for a statistic that has it."""

    treatment: CounterIncreases
    control: CounterIncreases
    scrape_gap: str
    counted_since: tuple[float | None, float | None] | None


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

    def read(self, values: Sequence[float | None]) -> _Measured:
        """Return the answers to these queries."""
        names = list(self.counted[1].counters())
        treatment, control, (scrapes, *since) = (
            values[: len(names)],
            values[len(names) : 2 * len(names)],
            values[2 * len(names) :],
        )
        return _Measured(
            dict(zip(names, treatment, strict=True)),
            dict(zip(names, control, strict=True)),
            self._describe_scrape_gap(scrapes),
            (since[0], since[1]) if since else None,
        )

    def _describe_scrape_gap(self, scrapes: float | None) -> str:
        """Return the reason why scrapes are missing, or an empty text."""
        expected = blocks.expected_coverage((self.block.since, self.block.until), self.stale_after)
        if (scrapes or 0) < expected:
            return f"nothing was scraped for {self.stale_after.total_seconds():.0f} s"
        return ""


def _describe_gap(cohort: str, increases: CounterIncreases) -> str:
    if any(value is None for value in increases.values()):
        return f"the {cohort} cohort has no counts"
    if any(value is not None and value < 0 for value in increases.values()):
        return f"a counter of the {cohort} cohort went down"
    return ""


def _format_span(block: Block) -> str:
    return f"{block.since:%m-%d %H:%M} to {block.until:%H:%M:%S}"
