"""Tracks of evidence: when one ends, and the part of α that the next one has.

Counters of users start at zero now and then: each hour, after a change of the percentage, and when
their records were lost. The users that follow are the same, so their evidence must not be multiplied
with what came before. Each start begins a track of its own, with its own part of α. The parts add up
to at most 1, so the chance that any track ever fails without cause is at most α (union bound).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from sluice.rollout.analysis.sequential_state import Block, SequentialState
from sluice.rollout.analysis.statistic import AnyStatistic, UserStatistic

FIRST_ATTEMPT_SHARE = 0.9
"""The first track's part of α, as most rollouts need one only; each later one has a tenth of the part before."""
PERIODS_SCALE = 72
"""The first periods have nearly even parts of α, about so many; later ones ever smaller parts."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Segment:
    """Blocks in a row that belong to one track. ``period``: None for blocks that span two."""

    period: int | None
    counted_since: float | None
    blocks: tuple[Block, ...]


def alpha_share(track: SequentialState, statistic: AnyStatistic) -> float:
    """Return the track's part of its gate's α in the step."""
    share = FIRST_ATTEMPT_SHARE * (1 - FIRST_ATTEMPT_SHARE) ** track.attempt
    if restart_interval(statistic) is None:
        return share
    before = PERIODS_SCALE + track.period
    return share * PERIODS_SCALE / (before * (before + 1))


def restart_interval(statistic: AnyStatistic) -> timedelta | None:
    """Return the interval at which the counters start at zero, or None."""
    return statistic.restarts_every if isinstance(statistic, UserStatistic) else None


def split_into_segments(
    statistic: AnyStatistic, live_since: datetime, blocks: Sequence[Block]
) -> Iterator[Segment]:
    """Yield the blocks by track, in order. A block without data belongs to the track before it."""
    interval = restart_interval(statistic)
    counted_since: float | None = None
    keys = []
    for block in blocks:
        counted_since = block.counted_since or counted_since
        keys.append((_period(block, live_since, interval), counted_since))
    for (period, since), pairs in groupby(
        zip(keys, blocks, strict=True), key=lambda keyed_block: keyed_block[0]
    ):
        yield Segment(period, since, tuple(block for _, block in pairs))


def _period(block: Block, live_since: datetime, interval: timedelta | None) -> int | None:
    if interval is None:
        return 0
    first, number = ((time - _EPOCH) // interval for time in (live_since, block.since))
    last = (block.until - _EPOCH - timedelta.resolution) // interval
    return number - first if number == last else None


def enter_segment(track: SequentialState, segment: Segment) -> tuple[SequentialState, bool]:
    """Return the track on which the segment's blocks count, and True if it has no evidence yet."""
    counted_since, period, is_new = segment.counted_since, segment.period, False
    if None not in (counted_since, track.counted_since) and counted_since != track.counted_since:
        restarted = track.next_attempt()
        track = restarted.model_copy(update={"harm": track.harm, "earlier": {}})
        is_new = True
    if period not in (None, track.period):
        track = track.model_copy(update={"test_state": {}, "earlier": {}, "period": period})
        is_new = True
    return track.model_copy(update={"counted_since": counted_since or track.counted_since}), is_new
