"""Judge a statistical gate: its evidence so far and new blocks in, a verdict and the evidence after out.

Every look is judged at the gate's own α, however often (docs/statistics.md). A block without data does
not count. A block that could not be measured is measured again.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import takewhile
from typing import Any

from sluice.rollout.analysis.gate import Gate, Metric, Model
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext, SequentialState
from sluice.rollout.analysis.statistic import (
    AnyStatistic,
    BoundedMean,
    EventRate,
    LatencyTail,
    MeanValue,
    SampleRatio,
    UserHazards,
)
from sluice.rollout.analysis.stats.bounded_means import BoundedMeanBlock, BoundedMeanTest
from sluice.rollout.analysis.stats.counts import CountBlock, Counts, CountTest
from sluice.rollout.analysis.stats.latency_tail import (
    LatencyTailBlock,
    LatencyTailCounts,
    LatencyTailTest,
)
from sluice.rollout.analysis.stats.means import MeanBlock, MeanTest, Moments
from sluice.rollout.analysis.stats.result import PRINTED_MAX_LOG, SequentialResult
from sluice.rollout.analysis.stats.sample_ratio import SampleRatioBlock, SampleRatioTest
from sluice.rollout.analysis.stats.user_hazards import (
    HazardBlock,
    HazardCounts,
    UserHazardTest,
)
from sluice.rollout.analysis.verdict import Outcome, Verdict
from sluice.rollout.units import format_duration

E_VALUE_UNIT = "e-value"
SIGNIFICANT_DIGITS = 9
PLAN_ONLY_FIELDS = {"test", "units", "total", "squares", "per_user"}
RESTART_MAX = 0.2
Increases = dict[str, float]


@dataclass(frozen=True)
class StatisticAdapter:
    """One statistic's test, with the block it takes and where its state counts samples."""

    test: Any
    block: Callable[[Block], Any]
    samples: Callable[[Any], float]


def adapter_for(statistic: AnyStatistic, gate: Gate) -> StatisticAdapter:
    """Return the test of ``sluice.rollout.analysis.stats`` that a plan's statistic asks for, at the gate's window."""
    builders: dict[type, Callable[..., StatisticAdapter]] = {
        EventRate: _rate_adapter,
        LatencyTail: _tail_adapter,
        MeanValue: _mean_adapter,
        BoundedMean: _bounded_mean_adapter,
        UserHazards: _hazard_adapter,
        SampleRatio: _sample_ratio_adapter,
    }
    tool = builders[type(statistic)](statistic, gate.metric.replace("_", " "))
    return replace(tool, test=_scale_to_window(tool.test, gate.window / timedelta(hours=1)))


def _scale_to_window(test: Any, hours: float) -> Any:  # noqa: ANN401  each statistic has its own
    """Scale per-block rates to hours: five-minute blocks must not forget twelve times as fast."""
    paced = {}
    if hasattr(test, "bets"):
        restart = min(test.bets.restart * hours, RESTART_MAX)
        paced["bets"] = test.bets.model_copy(update={"restart": restart})
    if hasattr(test, "memory"):
        paced["memory"] = test.memory**hours
    return test.model_copy(update=paced)


def _rate_adapter(statistic: EventRate, name: str) -> StatisticAdapter:
    def counts(grown: Increases) -> Counts:
        return Counts(events=grown["events"], units=grown["units"])

    return StatisticAdapter(
        test=CountTest(name=name, margin=statistic.margin),
        block=lambda b: CountBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.treatment.units,
    )


def _tail_adapter(statistic: LatencyTail, name: str) -> StatisticAdapter:
    def counts(grown: Increases) -> LatencyTailCounts:
        slower = tuple(grown["all"] - grown[f"{edge:g}"] for edge in statistic.edges)
        return LatencyTailCounts(slower=slower, requests=grown["all"])

    return StatisticAdapter(
        test=LatencyTailTest(name=name, edges=statistic.edges, margin=statistic.margin),
        block=lambda b: LatencyTailBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.edges[0].treatment.units,
    )


def _mean_adapter(statistic: MeanValue, name: str) -> StatisticAdapter:
    def moments(grown: Increases) -> Moments:
        return Moments(units=grown["units"], total=grown["total"], squares=grown["squares"])

    return StatisticAdapter(
        test=MeanTest(name=name, **statistic.model_dump(exclude=PLAN_ONLY_FIELDS)),
        block=lambda b: MeanBlock(treatment=moments(b.treatment), control=moments(b.control)),
        samples=lambda state: state.treatment.units,
    )


def _bounded_mean_adapter(statistic: BoundedMean, name: str) -> StatisticAdapter:
    def moments(increases: Increases) -> Moments:
        return Moments(**{key: increases[key] for key in ("units", "total", "squares")})

    return StatisticAdapter(
        test=BoundedMeanTest(name=name, **statistic.model_dump(exclude=PLAN_ONLY_FIELDS)),
        block=lambda b: BoundedMeanBlock(
            treatment=moments(b.treatment), control=moments(b.control), share=b.share
        ),
        samples=lambda state: state.treatment.units,
    )


def _hazard_adapter(statistic: UserHazards, name: str) -> StatisticAdapter:
    def counts(increases: Increases) -> HazardCounts:
        users, at_risk = (
            tuple(increases[f"{counter} {stratum}"] for stratum in statistic.strata)
            for counter in ("users", "at_risk")
        )
        return HazardCounts(users=users, at_risk=at_risk)

    return StatisticAdapter(
        test=UserHazardTest(name=name, strata=statistic.strata, margin=statistic.margin),
        block=lambda b: HazardBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.strata[0].treatment.units,
    )


def _sample_ratio_adapter(_statistic: SampleRatio, name: str) -> StatisticAdapter:
    return StatisticAdapter(
        test=SampleRatioTest(name=name),
        block=lambda b: SampleRatioBlock(
            treatment=b.treatment["users"], control=b.control["users"], share=b.share
        ),
        samples=lambda state: state.treatment + state.control,
    )


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
    track = context.sequential_states.get(gate.name, SequentialState())
    state = tool.test.start() if not track.test_state else _parse_state(tool, track)
    measured = list(blocks)
    error = next((block.error for block in measured if block.error), "")
    known = list(takewhile(lambda block: not block.error, measured))
    if known:
        track, state = _add_blocks(tool, track, state, known)
    if track.blocks:
        track = track.model_copy(update={"test_state": round_floats(state.model_dump(mode="json"))})
    return _verdict(gate, tool, (track, state), (context, error)), track


def _parse_state(tool: StatisticAdapter, track: SequentialState) -> Model:
    return type(tool.test.start()).model_validate(track.test_state)  # type: ignore[no-any-return]


def _add_blocks(
    tool: StatisticAdapter, track: SequentialState, state: Model, blocks: Sequence[Block]
) -> tuple[SequentialState, Model]:
    counted, problem = [], ""
    for block in blocks:
        problem = block.problem
        if not problem:
            try:
                counted.append(tool.block(block))
            except (KeyError, ValueError) as wrong:  # pydantic's are ValueErrors
                problem = f"impossible counts: {_first_line(wrong)}"
    if counted:
        state = tool.test.update(state, *counted)
    weighed = track.blocks + len(counted)
    after = SequentialState(
        until=blocks[-1].until, test_state=track.test_state, blocks=weighed, problem=problem
    )
    return after, state


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    messages = [
        line.removeprefix("Value error, ") for line in lines if line.startswith("Value error")
    ]
    return (messages or lines)[0].partition(" [type=")[0]


def _verdict(
    gate: Gate,
    tool: StatisticAdapter,
    evidence: tuple[SequentialState, Model],
    looked: tuple[EvidenceContext, str],
) -> Verdict:
    (track, state), (exposure, error) = evidence, looked
    alpha, samples = exposure.alphas[gate.name], tool.samples(state)
    worse, sound = _results(gate, tool, state, alpha)
    outcome, because = _outcome(gate, (worse, sound), samples, track.problem)
    if error and not worse.rejected:
        outcome, because = Outcome.ERROR, f"could not measure: {error}"
    elif not worse.rejected and (track.until is None or track.until <= exposure.since):
        outcome, because = _policy_outcome(gate.on_inconclusive), _waiting_reason(gate, exposure)
    shown = worse.log_e_peak if worse.rejected else worse.log_e
    return Verdict(
        gate=gate.name,
        outcome=outcome,
        reason=f"{gate.name}: {because}",
        value=math.exp(min(shown, PRINTED_MAX_LOG)) if track.blocks else None,
        limit=1 / alpha,
        samples=samples,
        unit=E_VALUE_UNIT,
        dry_run=gate.dry_run,
        severity=gate.severity,
        is_unmeasured=bool(error or track.problem) and not worse.rejected,
    )


def _results(
    gate: Gate,
    tool: StatisticAdapter,
    state: Any,  # noqa: ANN401  each test has its own
    alpha: float,
) -> tuple[SequentialResult, SequentialResult | None]:
    """Return the evidence of harm and, where the gate asks for it, of soundness."""
    if isinstance(tool.test, MeanTest | BoundedMeanTest):
        sound = tool.test.non_inferiority(state, alpha) if gate.claim == "non_inferiority" else None
        return tool.test.harm(state, alpha), sound
    return tool.test.result(state, alpha), None


def _outcome(
    gate: Gate,
    results: tuple[SequentialResult, SequentialResult | None],
    samples: float,
    problem: str,
) -> tuple[Outcome, str]:
    worse, sound = results
    if samples < gate.min_samples:
        enough = f"only {samples:,.0f} of {gate.min_samples:,} samples so far"
        return _policy_outcome(gate.on_inconclusive), enough
    if worse.rejected:  # shown once is shown: no later gap takes it back
        return Outcome.FAILED, worse.reason
    if problem:
        return _policy_outcome(gate.on_no_data), f"no data: {problem}"
    if sound is None:
        return Outcome.SUCCESSFUL, worse.reason
    if sound.rejected:
        return Outcome.SUCCESSFUL, sound.reason
    return _policy_outcome(gate.on_inconclusive), sound.reason


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
