"""Blocks that a statistical gate has yet to look at, and the PromQL that measures one.

Blocks follow each other at the gate's ``window`` from the time the share went live, wherever and
whenever they are measured: a watch that starts again on another worker, or a check that is retried,
finds the same blocks with the same counts, so evidence never depends on who gathered it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil, isnan
from string import Template

from sluice.rollout.analysis.cohorts import EVERY_VALUE, Cohort
from sluice.rollout.analysis.gate import Gate
from sluice.rollout.analysis.sequential_state import EvidenceContext, SequentialState
from sluice.rollout.analysis.statistic import AnyStatistic
from sluice.rollout.units import format_duration

BLOCKS_MAX = 24
"""Blocks measured at one look; when more are due, they grow to a multiple of the window."""

CLOCK_SKEW_SECONDS = 5.0
"""Largest difference between the clocks of Redis and of Temporal's server."""
Span = tuple[datetime, datetime]
CounterIncreases = Mapping[str, float | None]


@dataclass(frozen=True)
class BlockReadings:
    """The answers for one block; None and NaN are missing.

    ``scrapes`` answers ``coverage_query``. ``counted_since``: the time since which users are counted,
    at both ends of the block, for a statistic that has it.
    """

    increases: Mapping[Cohort, CounterIncreases]
    scrapes: float | None
    counted_since: tuple[float | None, float | None] | None = None

    def problem(self, span: Span, stale_after: timedelta, live_since: datetime) -> str:
        """Return the reason why the block's counts cannot be used, or an empty text."""
        if not (self.scrapes or 0) >= expected_coverage(span, stale_after):
            return f"nothing was scraped for {stale_after.total_seconds():.0f} s"
        for cohort, values in self.increases.items():
            if any(value is None or isnan(value) for value in values.values()):
                return f"the {cohort} cohort has no counts"
            if any(value is not None and value < 0 for value in values.values()):
                return f"a counter of the {cohort} cohort went down"
        return counted_since_problem(*self.counted_since, live_since) if self.counted_since else ""


def due_blocks(gate: Gate, context: EvidenceContext, at: datetime) -> list[Span]:
    """Return the complete blocks from where the gate's track ends to ``at``, oldest first.

    None while everybody or nobody has the treatment: there is nothing to compare.
    """
    if not 0 < context.share < 1:
        return []
    track = context.sequential_states.get(gate.name, SequentialState())
    start = max(track.until or context.since, context.since)
    windows = (at - start) // gate.window
    length = gate.window * max(1, ceil(windows / BLOCKS_MAX))
    return [(start + i * length, start + (i + 1) * length) for i in range((at - start) // length)]


def increase_query(selector: str, pattern: str, span: timedelta, reset: str = "") -> str:
    """PromQL for what a cohort's counter grew by in the ``span`` before the query's time.

    ``pattern`` matches the cohort's value of its label.

    Exact: the last scrape at its end less the last at its beginning, series by series. A series that
    was not there at both ends (a process that just started) counts from its next block on.
    ``reset``: an expression for the instances that do not count.
    """
    filled = render_selector(selector, pattern)
    increase = f"{filled} - {filled} offset {format_duration(span)}"
    return f"sum(({increase}) unless on (instance) ({reset}))" if reset else f"sum({increase})"


def reset_query(selector: str, span: timedelta, stale_after: timedelta) -> str:
    """PromQL for the instances of which a counter was reset in the block: their processes restarted."""
    window = format_duration(span + stale_after)
    return f"resets({render_selector(selector, EVERY_VALUE)}[{window}]) > 0"


def counted_since_query(selector: str, at_start_of: timedelta | None = None) -> str:
    """PromQL for the time since which users are counted, now or a span earlier."""
    return f"max({selector}{f' offset {format_duration(at_start_of)}' if at_start_of else ''})"


def counted_since_problem(before: float | None, after: float | None, live_since: datetime) -> str:
    """Return the reason why a block mixes two countings of users, or an empty text.

    ``before`` and ``after``: the time since which users are counted, at the block's ends. What was
    counted before the share went live belongs to other cohorts, and is in no counter of this one.
    """
    if not after:
        return "the time since which users are counted is unknown"
    if before is None or before == after:
        return ""
    is_earlier_share = before < live_since.timestamp() - CLOCK_SKEW_SECONDS
    return "" if is_earlier_share else "the counting of users began again"


def coverage_query(selector: str, span: timedelta, stale_after: timedelta) -> str:
    """PromQL for the number of times at which there is a sample not older than ``stale_after``."""
    step = format_duration(stale_after)
    presence = f"count(present_over_time({render_selector(selector, EVERY_VALUE)}[{step}]))"
    return f"count_over_time(({presence})[{format_duration(span)}:{step}])"


def expected_coverage(span: Span, stale_after: timedelta) -> int:
    """Count the multiples of ``stale_after`` since 1970 in the block: the times of subqueries."""
    step = round(stale_after.total_seconds() * 1000)
    start, end = (round(time.timestamp() * 1000) for time in span)
    return end // step - -(-start // step) + 1


@lru_cache(maxsize=1024)
def render_selector(selector: str, pattern: str) -> str:
    """Return the selector of the cohorts whose label's value matches ``pattern``."""
    return Template(selector).safe_substitute(cohort=pattern)


def reset_indicator(statistic: AnyStatistic) -> str:
    """Return the counter that grows most: its resets and gaps are the whole block's."""
    return next(reversed(statistic.counters().values()))
