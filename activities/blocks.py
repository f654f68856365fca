"""Blocks of counts for statistical gates, measured at the block's own end."""

import asyncio
from datetime import timedelta

from activities.asking import Asking
from activities.errors import EffectError
from rollout import blocks
from rollout.statistic import AnyStatistic
from rollout.track import Block

Counted = dict[str, float | None]


async def measure_block(
    asking: Asking, statistic: AnyStatistic, block: Block, stale_after: timedelta
) -> Block:
    """The block with its counts, or with what keeps them from being evidence; never raises."""
    try:
        treatment, control, problem = await asyncio.gather(
            _counted(asking, statistic, block, "treatment"),
            _counted(asking, statistic, block, "control"),
            _interrupted(asking, blocks.witness(statistic), block, stale_after),
        )
    except EffectError as error:
        return block.model_copy(update={"error": str(error)})
    problem = problem or _incomplete("treatment", treatment) or _incomplete("control", control)
    if problem:
        return block.model_copy(update={"problem": f"{problem} in {_span(block)}"})
    return block.model_copy(update={"treatment": treatment, "control": control})


async def _counted(asking: Asking, statistic: AnyStatistic, block: Block, cohort: str) -> Counted:
    counters, span = statistic.counters(), block.until - block.since
    values = await asyncio.gather(
        *(asking.value(blocks.growth(c, cohort, span), block.until) for c in counters.values())
    )
    return dict(zip(counters, values, strict=True))


async def _interrupted(asking: Asking, counter: str, block: Block, stale_after: timedelta) -> str:
    span = block.until - block.since
    resets, looks = await asyncio.gather(
        asking.value(blocks.resets(counter, span, stale_after), block.until),
        asking.value(blocks.looks(counter, span, stale_after), block.until),
    )
    if resets:
        return "a counter was reset"
    expected = blocks.looks_expected((block.since, block.until), stale_after)
    if (looks or 0) < expected:
        return f"nothing was scraped for {stale_after.total_seconds():.0f} s"
    return ""


def _incomplete(cohort: str, counted: Counted) -> str:
    if any(value is None for value in counted.values()):
        return f"the {cohort} cohort has no counts"
    if any(value is not None and value < 0 for value in counted.values()):
        return f"a counter of the {cohort} cohort went down"
    return ""


def _span(block: Block) -> str:
    return f"{block.since:%m-%d %H:%M} to {block.until:%H:%M:%S}"
