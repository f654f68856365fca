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
from sluice.rollout.analysis.statistic import counted_since_selector
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
    cache_key = (
        len(timeline.entries),
        gate.name,
        exposure.since,
        spans[0][0] if spans else until,
        len(spans),
    )
    if cache_key not in timeline.evidence_cache:
        measured = measure_blocks(
            timeline.read_columns,
            metric,
            spans,
            BlockContext(exposure.share, timeline.plan.stale_after, exposure.since),
        )
        timeline.evidence_cache[cache_key] = evaluate_blocks(gate, metric, exposure, measured)
    evidence: EvidenceAhead = timeline.evidence_cache[cache_key]
    return evidence


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
        batch = measured[start : start + at_once]
        context = with_evidence(exposure, {gate.name: track})
        verdict, after = judge_blocks(gate, metric, context, batch)
        if verdict.outcome is Outcome.FAILED:
            return _first_failure(gate, metric, context, batch)
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


@dataclass(frozen=True)
class BlockContext:
    """The treatment's share, the plan's ``stale_after``, and when the share went live.

    ``resets`` asks for restarts of processes, which a real router may have and a recording has not.
    """

    share: float
    stale_after: timedelta
    live_since: datetime
    resets: bool = False


def measure_blocks(
    read: ColumnReader,
    metric: Metric,
    spans: Sequence[blocks.Span],
    context: BlockContext,
) -> list[Block]:
    """Measure every block: its counts, or the problem that makes them useless."""
    if not spans:
        return []
    length, ends = spans[0][1] - spans[0][0], [until for _, until in spans]
    queries = block_queries(metric, length, context.stale_after, resets=context.resets)
    columns = dict(zip(queries, read(list(queries.values()), ends, length), strict=True))
    return [
        _build_block(span, context, {key: float(column[i]) for key, column in columns.items()})
        for i, span in enumerate(spans)
    ]


def block_queries(
    metric: Metric, length: timedelta, stale_after: timedelta, *, resets: bool
) -> dict[tuple[str, str], str]:
    """Return the queries of a block, as ``activities.measuring.block_measurement`` sends them.

    The key is the cohort and the counter's name, or ``block`` and what is read of it.
    """
    statistic = metric.statistic
    assert statistic is not None  # noqa: S101  plans are checked for it
    indicator = blocks.reset_indicator(statistic)
    reset = blocks.reset_query(indicator, length, stale_after) if resets else ""
    queries: dict[tuple[str, str], str] = {
        (cohort, name): blocks.increase_query(
            selector, metric.cohorts.pattern(cohort), length, reset
        )
        for cohort in COHORTS
        for name, selector in statistic.counters().items()
    }
    queries["block", "coverage"] = blocks.coverage_query(indicator, length, stale_after)
    if (selector := counted_since_selector(statistic)) is not None:
        queries["block", "counted since, before"] = blocks.counted_since_query(selector, length)
        queries["block", "counted since"] = blocks.counted_since_query(selector)
    return queries


def _build_block(
    span: blocks.Span, context: BlockContext, values: dict[tuple[str, str], float]
) -> Block:
    block_values = {name: value for (part, name), value in values.items() if part == "block"}
    counts = {
        cohort: {name: value for (part, name), value in values.items() if part == cohort}
        for cohort in COHORTS
    }
    counted_since = None
    if "counted since" in block_values:
        counted_since = (
            _present(block_values["counted since, before"]),
            _present(block_values["counted since"]),
        )
    readings = blocks.BlockReadings(counts, block_values["coverage"], counted_since)
    problem = readings.problem(span, context.stale_after, context.live_since)
    return Block(
        since=span[0],
        until=span[1],
        share=context.share,
        problem=problem,
        counted_since=counted_since[1] if counted_since and not problem else None,
        **{} if problem else counts,
    )


def _present(value: float) -> float | None:
    return None if np.isnan(value) else value
