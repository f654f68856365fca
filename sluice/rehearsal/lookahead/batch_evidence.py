"""Statistical red flags in batches: all blocks of a span at once, with the watch's results.

The watch evaluates each block once it is complete. Here a few range queries measure the blocks of
some hours, and a bisection finds the first one at which the gate fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.lookahead.watch_spec import with_evidence
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rollout.analysis import blocks
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.sequential_gate import judge_blocks
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext, SequentialState
from sluice.rollout.analysis.verdict import Outcome, Verdict

BLOCKS_PER_BATCH = 288
"""Blocks per evaluation; when they fail, the first failure is searched among them."""
COHORTS: tuple[Cohort, ...] = ("treatment", "control")
ColumnReader = Callable[[Sequence[str], Sequence[datetime], timedelta], list[Floats]]
"""Reads expressions at times a fixed step apart; returns a column of values for each."""


@dataclass(frozen=True)
class EvidenceAhead:
    """The evidence of one gate up to a time, and its first failure, if any.

    ``verdict`` is the failed one, or else the last one.
    """

    failed_at: datetime | None
    track: SequentialState
    verdict: Verdict


def evaluate_ahead(
    timeline: Timeline, gate: Gate, metric: Metric, exposure: EvidenceContext, until: datetime
) -> EvidenceAhead:
    """Evaluate every block of ``gate`` that is complete by ``until``."""
    spans = block_spans(gate, exposure, until)
    # Evidence from before a step's entry was read from the previous step.
    known = (
        len(timeline.entries),
        gate.name,
        exposure.since,
        spans[0][0] if spans else until,
        len(spans),
    )
    if known not in timeline.evidence_cache:
        measured = measure_blocks(
            timeline.read_columns,
            metric,
            spans,
            (exposure.share, timeline.plan.stale_after),
        )
        timeline.evidence_cache[known] = evaluate_blocks(gate, metric, exposure, measured)
    weighed: EvidenceAhead = timeline.evidence_cache[known]
    return weighed


def evaluate_blocks(
    gate: Gate, metric: Metric, exposure: EvidenceContext, measured: Sequence[Block]
) -> EvidenceAhead:
    """Evaluate the blocks until one fails; evidence accumulates, as in production."""
    verdict, track = judge_blocks(gate, metric, exposure, ())
    if verdict.outcome is Outcome.FAILED:
        return EvidenceAhead(exposure.since, track, verdict)
    # A failing gap is a failure of its own, which later evidence does not show.
    at_once = BLOCKS_PER_BATCH if gate.on_no_data == "hold" else 1
    for start in range(0, len(measured), at_once):
        some = measured[start : start + at_once]
        known = with_evidence(exposure, {gate.name: track})
        verdict, after = judge_blocks(gate, metric, known, some)
        if verdict.outcome is Outcome.FAILED:
            return _first_failure(gate, metric, known, some)
        track = after
    return EvidenceAhead(None, track, verdict)


def _first_failure(
    gate: Gate, metric: Metric, exposure: EvidenceContext, measured: Sequence[Block]
) -> EvidenceAhead:
    """Find by bisection the first block with which the gate fails."""
    low, high = 1, len(measured)  # the first `high` blocks fail
    while low < high:
        middle = (low + high) // 2
        if judge_blocks(gate, metric, exposure, measured[:middle])[0].outcome is Outcome.FAILED:
            high = middle
        else:
            low = middle + 1
    before = judge_blocks(gate, metric, exposure, measured[: high - 1])[1]
    verdict = judge_blocks(gate, metric, exposure, measured[:high])[0]
    return EvidenceAhead(measured[high - 1].until, before, verdict)


def block_spans(gate: Gate, exposure: EvidenceContext, until: datetime) -> list[blocks.Span]:
    """Return blocks as ``sluice.rollout.analysis.blocks.due_blocks`` does, each by itself."""
    track = exposure.sequential_states.get(gate.name, SequentialState())
    start = max(track.until or exposure.since, exposure.since)
    count = max(0, (until - start) // gate.window)
    return [(start + i * gate.window, start + (i + 1) * gate.window) for i in range(count)]


def measure_blocks(
    read: ColumnReader,
    metric: Metric,
    spans: Sequence[blocks.Span],
    known: tuple[float, timedelta],
    *,
    resets: bool = False,
) -> list[Block]:
    """Measure every block of a metric's statistic: its counts, or the problem that makes them useless.

    ``known`` holds the treatment's share and the plan's ``stale_after``. ``resets`` asks for counter
    resets, which a real router may have and a recording does not.
    """
    if not spans:
        return []
    share, stale_after = known
    length, ends = spans[0][1] - spans[0][0], [until for _, until in spans]
    wanted, asked = block_queries(metric, length, stale_after)
    if resets:
        asked.append(blocks.reset_query(_witness(metric), length, stale_after))
    columns = read(asked, ends, length)
    enough = np.array([blocks.expected_coverage(span, stale_after) for span in spans])
    seen = np.nan_to_num(columns[len(wanted)]) >= enough
    was_reset = np.nan_to_num(columns[-1]) > 0 if resets else np.zeros(len(spans), dtype=bool)
    grown = dict(zip(wanted, columns, strict=False))
    return [
        _build_block(
            span, share, {key: float(grown[key][i]) for key in grown}, (seen[i], was_reset[i])
        )
        for i, span in enumerate(spans)
    ]


def block_queries(
    metric: Metric, length: timedelta, stale_after: timedelta
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Return the queries of a block: the increase of its counters by cohort and name, and all in order."""
    counters = metric.statistic.counters() if metric.statistic else {}
    wanted: dict[tuple[str, str], str] = {
        (cohort, name): blocks.increase_query(selector, metric.cohorts.pattern(cohort), length)
        for cohort in COHORTS
        for name, selector in counters.items()
    }
    return wanted, [*wanted.values(), blocks.coverage_query(_witness(metric), length, stale_after)]


def _witness(metric: Metric) -> str:
    """Return the counter whose resets and gaps are the whole block's."""
    assert metric.statistic is not None  # noqa: S101  plans are checked for it
    return blocks.reset_indicator(metric.statistic)


def _build_block(
    span: blocks.Span, share: float, grown: dict[tuple[str, str], float], fine: tuple[bool, bool]
) -> Block:
    seen, was_reset = fine
    problem = "a counter was reset" if was_reset else "" if seen else "nothing was scraped"
    if not problem and not all(value >= 0 for value in grown.values()):  # NaN counts as missing
        problem = "a cohort has no counts"
    counts = {c: {n: value for (o, n), value in grown.items() if o == c} for c in COHORTS}
    since, until = span
    return Block(
        since=since, until=until, share=share, problem=problem, **{} if problem else counts
    )
