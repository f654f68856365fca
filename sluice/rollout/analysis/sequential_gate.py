"""Judge a statistical gate: its evidence so far and new blocks in, a verdict and the evidence after out.

Every look is judged at the gate's own α, however often (docs/statistics.md). A block without data does
not count. A block that could not be measured is measured again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sluice.rollout.analysis.gate import Gate, Metric, Model
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext, SequentialState
from sluice.rollout.analysis.statistic import AnyStatistic
from sluice.rollout.analysis.statistic_adapters import StatisticAdapter, adapter_for
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanTest
from sluice.rollout.analysis.stats.means import MeanTest
from sluice.rollout.analysis.stats.result import PRINTED_MAX_LOG, SequentialResult
from sluice.rollout.analysis.stats.user_means import UserMeansState, UserMeansTest
from sluice.rollout.analysis.tracks import (
    Segment,
    alpha_share,
    enter_segment,
    restart_interval,
    split_into_segments,
)
from sluice.rollout.analysis.verdict import Effect, Outcome, Verdict
from sluice.rollout.units import format_duration

E_VALUE_UNIT = "e-value"
SIGNIFICANT_DIGITS = 9


@dataclass(frozen=True)
class _Judge:
    """A gate, its statistic and test, and its part of α in the step."""

    gate: Gate
    statistic: AnyStatistic
    tool: StatisticAdapter
    alpha: float

    def parse_state(self, track: SequentialState) -> Model:
        test, start = self.tool.test, self.tool.test.start()
        if track.earlier and not track.test_state and isinstance(test, UserMeansTest):
            return test.resume(UserMeansState.model_validate(track.earlier))
        state: Model = type(start).model_validate(track.test_state) if track.test_state else start
        return state

    def alpha_of(self, track: SequentialState) -> float:
        return self.alpha * alpha_share(track, self.statistic)

    def add_blocks(
        self, track: SequentialState, state: Model, blocks: Sequence[Block]
    ) -> tuple[SequentialState, Model]:
        """Add blocks of one track, and note the first sentence that shows harm."""
        counted, problem = [], ""
        for block in blocks:
            problem = block.problem
            if not problem:
                try:
                    counted.append(self.tool.block(block))
                except (KeyError, ValueError) as wrong:  # pydantic's are ValueErrors
                    problem = f"impossible counts: {_first_line(wrong)}"
        if counted:
            state = self.tool.test.update(state, *counted)
        block_count = track.blocks + len(counted)
        after = {"until": blocks[-1].until, "problem": problem, "blocks": block_count}
        track = track.model_copy(update=after)
        if not track.harm and self.shows_harm(track, state):
            track = track.model_copy(update={"harm": self.results(track, state)[0].reason})
        return track, state

    def shows_harm(self, track: SequentialState, state: Model) -> bool:
        is_shown = self.tool.log_peak(state) >= -math.log(self.alpha_of(track))
        return is_shown and self.tool.samples(state) >= self.gate.min_samples

    def results(
        self,
        track: SequentialState,
        state: Any,  # noqa: ANN401  each test has its own
    ) -> tuple[SequentialResult, SequentialResult | None]:
        """Return the evidence of harm and, where the gate asks for it, of non-inferiority."""
        alpha, test = self.alpha_of(track), self.tool.test
        if isinstance(test, MeanTest | BoundedMeanTest | UserMeansTest):
            is_asked = self.gate.claim == "non_inferiority"
            return test.harm(state, alpha), test.non_inferiority(state, alpha) if is_asked else None
        return test.result(state, alpha), None


def judge_blocks(
    gate: Gate, metric: Metric, context: EvidenceContext, blocks: Iterable[Block]
) -> tuple[Verdict, SequentialState]:
    """Weigh the blocks that are due and judge all evidence of the gate so far.

    Raises:
        ValueError: when the plan's metric has no statistic, or the gate no α: plans are checked
            for both before they start.
    """
    if metric.statistic is None or gate.name not in context.alphas:
        raise ValueError(f"{gate.name}: metric {gate.metric!r} has no statistic, or the gate no α")
    tool = adapter_for(metric.statistic, gate)
    judge = _Judge(gate, metric.statistic, tool, context.alphas[gate.name])
    track = context.sequential_states.get(gate.name, SequentialState())
    measured = list(blocks)
    error = next((block.error for block in measured if block.error), "")
    usable = list(takewhile(lambda block: not block.error, measured))
    track, state = _add_segments(
        judge, track, split_into_segments(metric.statistic, context.since, usable)
    )
    if usable and track.blocks:
        track = track.model_copy(update={"test_state": round_floats(state.model_dump(mode="json"))})
    return _verdict(judge, (track, state), (context, error)), track


def shown_effect(gate: Gate, metric: Metric, track: SequentialState, alpha: float) -> Effect | None:
    """Return the effect that a track shows, with an interval that holds at every look.

    ``alpha``: the gate's part in the step. A track without evidence shows what the attempt before had.
    None for a statistic without an effect, and for one that starts again within the step.
    """
    if metric.statistic is None or restart_interval(metric.statistic) is not None:
        return None
    if not track.test_state:
        before = {"test_state": track.earlier, "attempt": max(track.attempt - 1, 0)}
        track = track.model_copy(update={**before, "earlier": {}})
    judge = _Judge(gate, metric.statistic, adapter_for(metric.statistic, gate), alpha)
    if not track.test_state:
        return None
    return judge.tool.effect(judge.parse_state(track), judge.alpha_of(track))


def _add_segments(
    judge: _Judge, track: SequentialState, segments: Iterable[Segment]
) -> tuple[SequentialState, Model]:
    state = judge.parse_state(track)
    for segment in segments:
        track, is_new = enter_segment(track, segment)
        if is_new:
            state = judge.tool.test.start()
        if segment.period is None:  # it spans the times of two tracks
            track = track.model_copy(update={"until": segment.blocks[-1].until})
        else:
            track, state = judge.add_blocks(track, state, segment.blocks)
    return track, state


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    messages = [
        line.removeprefix("Value error, ") for line in lines if line.startswith("Value error")
    ]
    return (messages or lines)[0].partition(" [type=")[0]


def _verdict(
    judge: _Judge,
    evidence: tuple[SequentialState, Model],
    context_and_error: tuple[EvidenceContext, str],
) -> Verdict:
    gate, (track, state), (exposure, error) = judge.gate, evidence, context_and_error
    samples = judge.tool.samples(state)
    harm_result, non_inferiority_result = judge.results(track, state)
    outcome, reason = _outcome(gate, (harm_result, non_inferiority_result), samples, track)
    if error and not track.harm:
        outcome, reason = Outcome.ERROR, f"could not measure: {error}"
    elif not track.harm and (track.until is None or track.until <= exposure.since):
        outcome, reason = _policy_outcome(gate.on_inconclusive), _waiting_reason(gate, exposure)
    log_e = harm_result.log_e_peak if harm_result.rejected else harm_result.log_e
    return Verdict(
        gate=gate.name,
        outcome=outcome,
        reason=f"{gate.name}: {reason}",
        value=math.exp(min(log_e, PRINTED_MAX_LOG)) if track.blocks else None,
        limit=1 / harm_result.alpha,
        samples=samples,
        unit=E_VALUE_UNIT,
        dry_run=gate.dry_run,
        severity=gate.severity,
        is_unmeasured=bool(error or track.problem) and not track.harm,
        effect=judge.tool.effect(state, harm_result.alpha) if track.blocks else None,
    )


def _outcome(
    gate: Gate,
    results: tuple[SequentialResult, SequentialResult | None],
    samples: float,
    track: SequentialState,
) -> tuple[Outcome, str]:
    harm_result, non_inferiority_result = results
    if track.harm:  # shown once is shown: no later gap takes it back
        return Outcome.FAILED, track.harm
    if samples < gate.min_samples:
        count_text = f"only {samples:,.0f} of {gate.min_samples:,} samples so far"
        return _policy_outcome(gate.on_inconclusive), count_text
    if track.problem:
        return _policy_outcome(gate.on_no_data), f"no data: {track.problem}"
    if non_inferiority_result is None:
        return Outcome.SUCCESSFUL, harm_result.reason
    if non_inferiority_result.rejected:
        return Outcome.SUCCESSFUL, non_inferiority_result.reason
    return _policy_outcome(gate.on_inconclusive), non_inferiority_result.reason


def _policy_outcome(policy: str) -> Outcome:
    return Outcome.FAILED if policy == "fail" else Outcome.INCONCLUSIVE


def _waiting_reason(gate: Gate, exposure: EvidenceContext) -> str:
    if not 0 < exposure.share < 1:
        return f"no second cohort to compare with at {exposure.share:.0%}"
    return f"no whole block of {format_duration(gate.window)} since {exposure.since:%Y-%m-%d %H:%M:%S} yet"


def round_floats(value: Any) -> Any:  # noqa: ANN401  any JSON
    """Return the same JSON with floats of nine digits: states travel with every check."""
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {key: round_floats(inner) for key, inner in value.items()}
    return [round_floats(inner) for inner in value] if isinstance(value, list) else value
