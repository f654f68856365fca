"""A statistical gate, its evidence so far and new blocks in; a verdict and the evidence after out.

Every look is judged at the gate's own α, as often as one likes (DESIGN.md §6, docs/statistics.md).
A block that is no data is passed over and never counts; one that could not be measured is waited for.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import takewhile
from typing import Any

from rollout.gate import Gate, Metric, Model
from rollout.quantity import format_duration
from rollout.statistic import Affected, AnyStatistic, Mean, Rate, Ratio, Slow, Tail
from rollout.stats.affected import AffectedBlock, AffectedTest
from rollout.stats.counts import CountBlock, Counts, CountTest
from rollout.stats.means import MeanBlock, MeanTest, Moments
from rollout.stats.ratio import RatioTest, UserBlock
from rollout.stats.result import PRINTED_MAX_LOG, Result
from rollout.stats.slow import SlowBlock, SlowTest
from rollout.stats.tail import TailBlock, TailCounts, TailTest
from rollout.track import Block, Exposure, Track
from rollout.verdict import Outcome, Verdict

UNIT = "e-value"
DIGITS = 9
NOT_OF_THE_TEST = {"test", "units", "total", "squares", "of_users"}
RESTART_MAX = 0.2
Grown = dict[str, float]


@dataclass(frozen=True)
class Instrument:
    """One statistic's test, with the block it takes and where its state counts samples."""

    test: Any
    block: Callable[[Block], Any]
    samples: Callable[[Any], float]


def instrument(statistic: AnyStatistic, gate: Gate) -> Instrument:
    """The test of ``rollout.stats`` that a plan's statistic asks for, at the gate's window."""
    builders: dict[type, Callable[..., Instrument]] = {
        Rate: _rate, Tail: _tail, Mean: _mean, Affected: _affected, Slow: _slow, Ratio: _ratio
    }  # fmt: skip
    tool = builders[type(statistic)](statistic, gate.metric.replace("_", " "))
    return replace(tool, test=_paced(tool.test, gate.window / timedelta(hours=1)))


def _paced(test: Any, hours: float) -> Any:  # noqa: ANN401  each statistic has its own
    """What a test does per block, done per hour: five-minute blocks must not forget twelve times as fast."""
    paced = {}
    if hasattr(test, "bets"):
        restart = min(test.bets.restart * hours, RESTART_MAX)
        paced["bets"] = test.bets.model_copy(update={"restart": restart})
    if hasattr(test, "memory"):
        paced["memory"] = test.memory**hours
    return test.model_copy(update=paced)


def _rate(statistic: Rate, name: str) -> Instrument:
    def counts(grown: Grown) -> Counts:
        return Counts(events=grown["events"], units=grown["units"])

    return Instrument(
        test=CountTest(name=name, margin=statistic.margin),
        block=lambda b: CountBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.treatment.units,
    )


def _tail(statistic: Tail, name: str) -> Instrument:
    def counts(grown: Grown) -> TailCounts:
        slower = tuple(grown["all"] - grown[f"{edge:g}"] for edge in statistic.edges)
        return TailCounts(slower=slower, requests=grown["all"])

    return Instrument(
        test=TailTest(name=name, edges=statistic.edges, margin=statistic.margin),
        block=lambda b: TailBlock(treatment=counts(b.treatment), control=counts(b.control)),
        samples=lambda state: state.edges[0].treatment.units,
    )


def _mean(statistic: Mean, name: str) -> Instrument:
    def moments(grown: Grown) -> Moments:
        return Moments(units=grown["units"], total=grown["total"], squares=grown["squares"])

    return Instrument(
        test=MeanTest(name=name, **statistic.model_dump(exclude=NOT_OF_THE_TEST)),
        block=lambda b: MeanBlock(treatment=moments(b.treatment), control=moments(b.control)),
        samples=lambda state: state.treatment.units,
    )


def _affected(statistic: Affected, name: str) -> Instrument:
    return Instrument(
        test=AffectedTest(name=name, margin=statistic.margin),
        block=lambda b: AffectedBlock(
            treatment=b.treatment["users"], control=b.control["users"], share=b.share
        ),
        samples=lambda state: state.treatment + state.control,
    )


def _slow(statistic: Slow, name: str) -> Instrument:
    def users(grown: Grown) -> tuple[float, ...]:
        return tuple(grown[f"{edge:g}"] for edge in statistic.edges)

    return Instrument(
        test=SlowTest(name=name, edges=statistic.edges, margin=statistic.margin),
        block=lambda b: SlowBlock(
            treatment=users(b.treatment), control=users(b.control), share=b.share
        ),
        samples=lambda state: state.edges[0].treatment + state.edges[0].control,
    )


def _ratio(_statistic: Ratio, name: str) -> Instrument:
    return Instrument(
        test=RatioTest(name=name),
        block=lambda b: UserBlock(
            treatment=b.treatment["users"], control=b.control["users"], share=b.share
        ),
        samples=lambda state: state.treatment + state.control,
    )


def weigh(
    gate: Gate, metric: Metric, exposure: Exposure, blocks: Iterable[Block]
) -> tuple[Verdict, Track]:
    """Weigh the blocks that are due and judge all evidence of the gate so far.

    Raises:
        ValueError: when the plan's metric has no statistic, or the gate no α: plans are checked
            for both before they start.
    """
    if metric.statistic is None or gate.name not in exposure.alphas:
        raise ValueError(f"{gate.name}: metric {gate.metric!r} has no statistic, or the gate no α")
    tool = instrument(metric.statistic, gate)
    track = exposure.tracks.get(gate.name, Track())
    state = tool.test.start() if not track.state else _parsed(tool, track)
    measured = list(blocks)
    error = next((block.error for block in measured if block.error), "")
    known = list(takewhile(lambda block: not block.error, measured))
    if known:
        track, state = _after(tool, track, state, known)
    if track.blocks:
        track = track.model_copy(update={"state": compact(state.model_dump(mode="json"))})
    return _verdict(gate, tool, (track, state), (exposure, error)), track


def _parsed(tool: Instrument, track: Track) -> Model:
    return type(tool.test.start()).model_validate(track.state)  # type: ignore[no-any-return]


def _after(
    tool: Instrument, track: Track, state: Model, blocks: Sequence[Block]
) -> tuple[Track, Model]:
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
    after = Track(until=blocks[-1].until, state=track.state, blocks=weighed, problem=problem)
    return after, state


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line.removeprefix("Value error, ") for line in lines if line.startswith("Value error")]
    return (told or lines)[0].partition(" [type=")[0]


def _verdict(
    gate: Gate,
    tool: Instrument,
    evidence: tuple[Track, Model],
    looked: tuple[Exposure, str],
) -> Verdict:
    (track, state), (exposure, error) = evidence, looked
    alpha, samples = exposure.alphas[gate.name], tool.samples(state)
    worse, sound = _results(gate, tool, state, alpha)
    outcome, because = _judged(gate, (worse, sound), samples, track.problem)
    if error and not worse.rejected:
        outcome, because = Outcome.ERROR, f"could not measure: {error}"
    elif not worse.rejected and (track.until is None or track.until <= exposure.since):
        outcome, because = _by_policy(gate.on_inconclusive), _nothing_yet(gate, exposure)
    shown = worse.log_e_peak if worse.rejected else worse.log_e
    return Verdict(
        gate=gate.name,
        outcome=outcome,
        because=f"{gate.name}: {because}",
        value=math.exp(min(shown, PRINTED_MAX_LOG)) if track.blocks else None,
        limit=1 / alpha,
        samples=samples,
        unit=UNIT,
        dry_run=gate.dry_run,
        severity=gate.severity,
    )


def _results(
    gate: Gate,
    tool: Instrument,
    state: Any,  # noqa: ANN401  each test has its own
    alpha: float,
) -> tuple[Result, Result | None]:
    """The evidence of harm and, where the gate asks for it, of soundness."""
    if isinstance(tool.test, MeanTest):
        sound = tool.test.sound(state, alpha) if gate.claim == "sound" else None
        return tool.test.worse(state, alpha), sound
    return tool.test.result(state, alpha), None


def _judged(
    gate: Gate, results: tuple[Result, Result | None], samples: float, problem: str
) -> tuple[Outcome, str]:
    worse, sound = results
    if samples < gate.min_samples:
        enough = f"only {samples:,.0f} of {gate.min_samples:,} samples so far"
        return _by_policy(gate.on_inconclusive), enough
    if worse.rejected:  # shown once is shown: no later gap takes it back
        return Outcome.FAILED, worse.because
    if problem:
        return _by_policy(gate.on_no_data), f"no data: {problem}"
    if sound is None:
        return Outcome.SUCCESSFUL, worse.because
    if sound.rejected:
        return Outcome.SUCCESSFUL, sound.because
    return _by_policy(gate.on_inconclusive), sound.because


def _by_policy(policy: str) -> Outcome:
    return Outcome.FAILED if policy == "fail" else Outcome.INCONCLUSIVE


def _nothing_yet(gate: Gate, exposure: Exposure) -> str:
    if not 0 < exposure.share < 1:
        return f"no second cohort to compare with at {exposure.share:.0%}"
    return f"no whole block of {format_duration(gate.window)} since {exposure.since:%Y-%m-%d %H:%M:%S} yet"


def compact(value: Any) -> Any:  # noqa: ANN401  any JSON
    """The same JSON with floats of nine digits: states travel with every check."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: compact(inner) for key, inner in value.items()}
    return [compact(inner) for inner in value] if isinstance(value, list) else value
