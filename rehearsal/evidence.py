"""Statistical red flags ahead of time: all blocks of a span at once, weighed as the watch would.

The watch weighs each block as soon as it is complete. Here the blocks of some hours are measured in
a few range queries, and the first one at which the evidence suffices is found by bisection.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from rehearsal.arrays import Floats
from rehearsal.course import Course
from rehearsal.guarded import carrying
from rollout import blocks
from rollout.gate import Gate, Metric
from rollout.statistic import AnyStatistic
from rollout.track import Block, Exposure, Track
from rollout.verdict import Outcome, Verdict
from rollout.weigh import weigh

AT_ONCE = 288
"""Blocks weighed in one go; where they fail, the first that did is looked for among them."""
COHORTS = ("treatment", "control")
ReadAll = Callable[[Sequence[str], Sequence[datetime], timedelta], list[Floats]]
"""Expressions and times so far apart; a column of values for each expression."""


@dataclass(frozen=True)
class Weighed:
    """One gate up to a time: when it first failed (None: it didn't), and its evidence just before.

    ``verdict`` is the last one, or the failed one.
    """

    failed_at: datetime | None
    track: Track
    verdict: Verdict


def weigh_ahead(
    course: Course, gate: Gate, metric: Metric, exposure: Exposure, until: datetime
) -> Weighed:
    """Weigh every block of ``gate`` that is complete by ``until``."""
    spans = spans_until(gate, exposure, until)
    # What was weighed ahead of a step's entry was read from the step before.
    known = (
        len(course.entries),
        gate.name,
        exposure.since,
        spans[0][0] if spans else until,
        len(spans),
    )
    if known not in course.weighed:
        assert metric.statistic is not None  # noqa: S101  plans are checked for it
        measured = measure_blocks(
            course.read_all, metric.statistic, spans, (exposure.share, course.plan.stale_after)
        )
        course.weighed[known] = weigh_all(gate, metric, exposure, measured)
    weighed: Weighed = course.weighed[known]
    return weighed


def weigh_all(gate: Gate, metric: Metric, exposure: Exposure, measured: Sequence[Block]) -> Weighed:
    """Weigh block after block until one fails; the evidence so far is carried on, as in production."""
    verdict, track = weigh(gate, metric, exposure, ())
    if verdict.outcome is Outcome.FAILED:
        return Weighed(exposure.since, track, verdict)
    # Where a gap fails, it fails by itself: the evidence later on would not show that it did.
    at_once = AT_ONCE if gate.on_no_data == "hold" else 1
    for start in range(0, len(measured), at_once):
        some = measured[start : start + at_once]
        known = carrying(exposure, {gate.name: track})
        verdict, after = weigh(gate, metric, known, some)
        if verdict.outcome is Outcome.FAILED:
            return _first(gate, metric, known, some)
        track = after
    return Weighed(None, track, verdict)


def _first(gate: Gate, metric: Metric, exposure: Exposure, measured: Sequence[Block]) -> Weighed:
    """Find by bisection the first of the blocks with which the gate fails; with none it doesn't."""
    low, high = 1, len(measured)  # the first `high` blocks fail
    while low < high:
        middle = (low + high) // 2
        if weigh(gate, metric, exposure, measured[:middle])[0].outcome is Outcome.FAILED:
            high = middle
        else:
            low = middle + 1
    before = weigh(gate, metric, exposure, measured[: high - 1])[1]
    verdict = weigh(gate, metric, exposure, measured[:high])[0]
    return Weighed(measured[high - 1].until, before, verdict)


def spans_until(gate: Gate, exposure: Exposure, until: datetime) -> list[blocks.Span]:
    """As ``rollout.blocks.due``, but each block by itself, as the watch meets them."""
    track = exposure.tracks.get(gate.name, Track())
    start = max(track.until or exposure.since, exposure.since)
    count = max(0, (until - start) // gate.window)
    return [(start + i * gate.window, start + (i + 1) * gate.window) for i in range(count)]


def measure_blocks(
    read: ReadAll,
    statistic: AnyStatistic,
    spans: Sequence[blocks.Span],
    known: tuple[float, timedelta],
    *,
    resets: bool = False,
) -> list[Block]:
    """Every block with its counts, or with what keeps them from being evidence.

    ``known``: the treatment's share, and the plan's ``stale_after``. ``resets``: counters of a real
    router may start anew; those of a recording of ours never do, and asking costs.
    """
    if not spans:
        return []
    share, stale_after = known
    length, ends = spans[0][1] - spans[0][0], [until for _, until in spans]
    wanted, asked = asked_of(statistic, length, stale_after)
    if resets:
        asked.append(blocks.resets(blocks.witness(statistic), length, stale_after))
    columns = read(asked, ends, length)
    enough = np.array([blocks.looks_expected(span, stale_after) for span in spans])
    seen = np.nan_to_num(columns[len(wanted)]) >= enough
    anew = np.nan_to_num(columns[-1]) > 0 if resets else np.zeros(len(spans), dtype=bool)
    grown = dict(zip(wanted, columns, strict=False))
    return [
        _block(span, share, {key: float(grown[key][i]) for key in grown}, (seen[i], anew[i]))
        for i, span in enumerate(spans)
    ]


def asked_of(
    statistic: AnyStatistic, length: timedelta, stale_after: timedelta
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """What is asked about a block: its counters' growth by cohort and name, and all in order."""
    counters, witness = statistic.counters(), blocks.witness(statistic)
    wanted = {(c, n): blocks.growth(s, c, length) for c in COHORTS for n, s in counters.items()}
    return wanted, [*wanted.values(), blocks.looks(witness, length, stale_after)]


def _block(
    span: blocks.Span, share: float, grown: dict[tuple[str, str], float], fine: tuple[bool, bool]
) -> Block:
    seen, anew = fine
    problem = "a counter was reset" if anew else "" if seen else "nothing was scraped"
    if not problem and not all(value >= 0 for value in grown.values()):  # NaN is none either
        problem = "a cohort has no counts"
    counts = {c: {n: value for (o, n), value in grown.items() if o == c} for c in COHORTS}
    since, until = span
    return Block(
        since=since, until=until, share=share, problem=problem, **{} if problem else counts
    )
