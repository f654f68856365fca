"""Statistical red flags ahead of time: all blocks of a span at once, weighed as the watch would.

The watch weighs each block as soon as it is complete. Here the blocks of some hours are measured in
a few range queries, and the first one at which the evidence suffices is found by bisection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rehearsal.course import Course
from rollout import blocks
from rollout.gate import Gate, Metric
from rollout.statistic import AnyStatistic
from rollout.track import Block, Exposure, Track
from rollout.verdict import Outcome
from rollout.weigh import weigh


@dataclass(frozen=True)
class Weighed:
    """One gate up to a time: when it first failed (None: it didn't), and its evidence just before."""

    failed_at: datetime | None
    track: Track


def weigh_ahead(
    course: Course, gate: Gate, metric: Metric, exposure: Exposure, until: datetime
) -> Weighed:
    """Weigh every block of ``gate`` that is complete by ``until``."""
    spans = _spans(gate, exposure, until)
    known = (gate.name, exposure.since, spans[0][0] if spans else until, len(spans))
    if known not in course.weighed:
        course.weighed[known] = _weigh(course, (gate, metric, exposure), spans)
    weighed: Weighed = course.weighed[known]
    return weighed


def _weigh(
    course: Course, of: tuple[Gate, Metric, Exposure], spans: Sequence[blocks.Span]
) -> Weighed:
    gate, metric, exposure = of
    assert metric.statistic is not None  # noqa: S101  plans are checked for it
    measured = [_block(course, metric.statistic, span, exposure.share) for span in spans]
    verdict, track = weigh(gate, metric, exposure, measured)
    if verdict.outcome is not Outcome.FAILED:
        return Weighed(None, track)
    low, high = 0, len(measured)  # the first `high` blocks fail
    while low < high:
        middle = (low + high) // 2
        if _fails(gate, metric, exposure, measured[:middle]):
            high = middle
        else:
            low = middle + 1
    before = measured[: max(high - 1, 0)]
    failed_at = measured[high - 1].until if high else exposure.since
    return Weighed(failed_at, weigh(gate, metric, exposure, before)[1])


def compares(exposure: Exposure | None) -> bool:
    """Whether there are two cohorts, so that evidence can grow at all."""
    return exposure is not None and 0 < exposure.share < 1


def _fails(gate: Gate, metric: Metric, exposure: Exposure, measured: Sequence[Block]) -> bool:
    return weigh(gate, metric, exposure, measured)[0].outcome is Outcome.FAILED


def _spans(gate: Gate, exposure: Exposure, until: datetime) -> list[blocks.Span]:
    """As ``rollout.blocks.due``, but each block by itself, as the watch meets them."""
    track = exposure.tracks.get(gate.name, Track())
    start = max(track.until or exposure.since, exposure.since)
    count = max(0, (until - start) // gate.window)
    return [(start + i * gate.window, start + (i + 1) * gate.window) for i in range(count)]


def _block(course: Course, statistic: AnyStatistic, span: blocks.Span, share: float) -> Block:
    since, until = span
    block = Block(since=since, until=until, share=share)
    counters, length = statistic.counters(), until - since
    grown = {
        cohort: {
            name: course.query(blocks.growth(counter, cohort, length), until, length)
            for name, counter in counters.items()
        }
        for cohort in ("treatment", "control")
    }
    problem = _gap(course, blocks.witness(statistic), span)
    if not problem and any(v is None or v < 0 for one in grown.values() for v in one.values()):
        problem = "a cohort has no counts"
    return block.model_copy(update={"problem": problem} if problem else grown)


def _gap(course: Course, counter: str, span: blocks.Span) -> str:
    since, until = span
    stale_after = course.plan.stale_after
    asked = blocks.looks(counter, until - since, stale_after)
    seen = course.query(asked, until, until - since) or 0
    return "" if seen >= blocks.looks_expected(span, stale_after) else "nothing was scraped"


SHIFT = timedelta(hours=6)
"""How long a rehearsed watch gathers evidence before it hands it over; in production an hour."""
