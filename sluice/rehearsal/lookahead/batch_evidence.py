"""Statistical red flags ahead of time: all blocks of a span at once, weighed as the watch would.

The watch weighs each block as soon as it is complete. Here the blocks of some hours are measured in
a few range queries, and the first one at which the evidence suffices is found by bisection.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.lookahead.watch_spec import with_evidence
from sluice.rehearsal.timeline.timeline import Timeline
from sluice.rollout.analysis import blocks
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.sequential_gate import judge_blocks
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext, SequentialState
from sluice.rollout.analysis.statistic import AnyStatistic
from sluice.rollout.analysis.verdict import Outcome, Verdict

BLOCKS_PER_BATCH = 288
"""Blocks weighed in one go; where they fail, the first that did is looked for among them."""
COHORTS = ("treatment", "control")
ColumnReader = Callable[[Sequence[str], Sequence[datetime], timedelta], list[Floats]]
"""Expressions and times so far apart; a column of values for each expression."""


@dataclass(frozen=True)
class EvidenceAhead:
    """One gate up to a time: when it first failed (None: it didn't), and its evidence just before.

    ``verdict`` is the last one, or the failed one.
    """

    failed_at: datetime | None
    track: SequentialState
    verdict: Verdict


def evaluate_ahead(
    timeline: Timeline, gate: Gate, metric: Metric, exposure: EvidenceContext, until: datetime
) -> EvidenceAhead:
    """Weigh every block of ``gate`` that is complete by ``until``."""
    spans = block_spans(gate, exposure, until)
    # What was weighed ahead of a step's entry was read from the step before.
    known = (
        len(timeline.entries),
        gate.name,
        exposure.since,
        spans[0][0] if spans else until,
        len(spans),
    )
    if known not in timeline.evidence_cache:
        assert metric.statistic is not None  # noqa: S101  plans are checked for it
        measured = measure_blocks(
            timeline.read_columns,
            metric.statistic,
            spans,
            (exposure.share, timeline.plan.stale_after),
        )
        timeline.evidence_cache[known] = evaluate_blocks(gate, metric, exposure, measured)
    weighed: EvidenceAhead = timeline.evidence_cache[known]
    return weighed


def evaluate_blocks(
    gate: Gate, metric: Metric, exposure: EvidenceContext, measured: Sequence[Block]
) -> EvidenceAhead:
    """Weigh block after block until one fails; the evidence so far is carried on, as in production."""
    verdict, track = judge_blocks(gate, metric, exposure, ())
    if verdict.outcome is Outcome.FAILED:
        return EvidenceAhead(exposure.since, track, verdict)
    # Where a gap fails, it fails by itself: the evidence later on would not show that it did.
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
    """Find by bisection the first of the blocks with which the gate fails; with none it doesn't."""
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
    """As ``sluice.rollout.analysis.blocks.due_blocks``, but each block by itself, as the watch meets them."""
    track = exposure.sequential_states.get(gate.name, SequentialState())
    start = max(track.until or exposure.since, exposure.since)
    count = max(0, (until - start) // gate.window)
    return [(start + i * gate.window, start + (i + 1) * gate.window) for i in range(count)]


def measure_blocks(
    read: ColumnReader,
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
    wanted, asked = block_queries(statistic, length, stale_after)
    if resets:
        asked.append(blocks.reset_query(blocks.reset_indicator(statistic), length, stale_after))
    columns = read(asked, ends, length)
    enough = np.array([blocks.expected_coverage(span, stale_after) for span in spans])
    seen = np.nan_to_num(columns[len(wanted)]) >= enough
    anew = np.nan_to_num(columns[-1]) > 0 if resets else np.zeros(len(spans), dtype=bool)
    grown = dict(zip(wanted, columns, strict=False))
    return [
        _build_block(span, share, {key: float(grown[key][i]) for key in grown}, (seen[i], anew[i]))
        for i, span in enumerate(spans)
    ]


def block_queries(
    statistic: AnyStatistic, length: timedelta, stale_after: timedelta
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """What is asked about a block: its counters' growth by cohort and name, and all in order."""
    counters, witness = statistic.counters(), blocks.reset_indicator(statistic)
    wanted = {
        (c, n): blocks.increase_query(s, c, length) for c in COHORTS for n, s in counters.items()
    }
    return wanted, [*wanted.values(), blocks.coverage_query(witness, length, stale_after)]


def _build_block(
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
