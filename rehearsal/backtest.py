"""Backtest: a plan's gates over recorded metrics, as often as they would have been looked at.

Judged by ``rollout.judge`` and ``rollout.weigh``, as in production. Nothing here knows when the
recorded system was healthy: who runs a backtest chooses a quiet time, and then every alarm is false.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from activities.measure import usable_baseline
from rehearsal.arrays import Ticks
from rehearsal.evidence import measure_blocks, spans_until, weigh_all
from rehearsal.judging import Code, Column, fires, outcomes
from rehearsal.recorded import Recorded
from rehearsal.replayed import Alarm, Backtest, Replayed, Verdicts
from rollout.exposure import budget
from rollout.gate import Gate, GateKind
from rollout.judge import judge
from rollout.plan import RolloutPlan, Step
from rollout.quantity import format_duration
from rollout.reading import Measured, Reading
from rollout.track import Exposure
from rollout.verdict import Verdict

BASELINE_EVERY = timedelta(hours=1)
Baseline = Mapping[str, Reading]


@dataclass(frozen=True)
class _Rule:
    """A gate as the plan has it, with all steps that have just this one."""

    gate: Gate
    place: str
    every: timedelta
    steps: tuple[Step, ...]


def backtest(recorded: Recorded, every: timedelta) -> Backtest:
    """Replay all rules: gates at their step's interval, red flags ``every`` so long.

    Raises:
        PrometheusFailedError: Prometheus doesn't answer, or refuses a query.
    """
    baseline = _baseline(recorded)
    rules = [_replayed(recorded, rule, baseline) for rule in _rules(recorded.plan, every)]
    return Backtest(
        plan=recorded.plan.name,
        source=recorded.ranges.url,
        treatment=recorded.treatment,
        begin=recorded.begin,
        end=recorded.end,
        baseline=dict(baseline),
        rules=tuple(rules),
    )


def _rules(plan: RolloutPlan, every: timedelta) -> Iterator[_Rule]:
    found: dict[tuple[str, Gate, timedelta], list[Step]] = {}
    for step in plan.steps:
        for place, gates, often in (
            ("gates", step.gates, step.interval),
            ("red_flags", step.red_flags, every),
        ):
            for gate in gates:
                weighed = (
                    gate.kind is GateKind.STATISTICAL
                )  # block by block, however often one looks
                key = (place, gate, gate.window if weighed else often)
                found.setdefault(key, []).append(step)
    for (place, gate, often), steps in found.items():
        yield _Rule(gate, place, often, tuple(steps))


def _baseline(recorded: Recorded) -> dict[str, Reading]:
    """The first reading of each baseline that could have been recorded, looking as the plan's checks do."""
    found: dict[str, Reading] = {}
    every = _baseline_every(recorded.plan)
    for gate in recorded.plan.baselines:
        column = recorded.column(gate, gate.cohort, every)
        enough = True if column.samples is None else column.samples >= gate.min_samples
        for number in np.flatnonzero(np.isfinite(column.values) & enough)[:1].tolist():
            at = (number, recorded.begin + number * every)
            reading = recorded.reading(gate, gate.cohort, column, at)
            found |= usable_baseline((gate,), (reading,))
    return found


def _baseline_every(plan: RolloutPlan) -> timedelta:
    """An hour, or the interval of the step that records baselines where that is shorter."""
    often = (step.interval for step in plan.steps if step.record_baseline)
    return min([BASELINE_EVERY, *often])


def _replayed(recorded: Recorded, rule: _Rule, baseline: Baseline) -> Replayed:
    blank = Replayed(
        gate=rule.gate.name,
        kind="gate" if rule.place == "gates" else "red flag",
        steps=tuple(step.name for step in rule.steps),
        severity=rule.gate.severity,
        dry_run=rule.gate.dry_run,
        every=rule.every,
    )
    if rule.gate.kind is GateKind.STATISTICAL:
        return _weighed(recorded, rule, blank)
    return _Judging(recorded, rule, baseline).replayed(blank)


class _Judging:
    """One rule that looks at one moment: its readings, and what is made of them."""

    def __init__(self, recorded: Recorded, rule: _Rule, baseline: Baseline) -> None:
        self._recorded, self._rule, gate = recorded, rule, rule.gate
        self._reading = recorded.column(gate, gate.cohort, rule.every)
        self._control = None
        if gate.kind is GateKind.CONTROL:
            self._control = recorded.column(gate, "control", rule.every)
        self._kept = baseline.get(gate.metric) if gate.kind is GateKind.BASELINE else None
        self._codes = outcomes(gate, self._reading, self._control or self._baseline())

    def replayed(self, blank: Replayed) -> Replayed:
        codes, empty = self._codes, self._empty()
        full = np.flatnonzero(~empty).tolist()
        turns = int(self._rule.every / self._recorded.plan.watch_interval)
        flag = self._rule.place == "red_flags"
        fired = fires(self._rule.gate, codes, max(1, turns)) if flag else codes == Code.FAILED
        return blank.model_copy(
            update={
                "looks": len(codes),
                "successful": int((codes == Code.SUCCESSFUL).sum()),
                "failed": int((codes == Code.FAILED)[~empty].sum()),
                "unsure": int((codes == Code.INCONCLUSIVE)[~empty].sum()),
                "no_data": int(empty.sum()),
                "alarms": tuple(self._alarms(fired)),
                "verdicts": tuple(self._verdicts()),
                "data_from": self._time(full[0]) if full else None,
                "data_to": self._time(full[-1]) if full else None,
                "note": self._missing() if empty.all() else "",
            }
        )

    def _baseline(self) -> Column | None:
        kept = self._kept
        if kept is None or kept.value is None:
            return None
        samples = None if kept.samples is None else np.array([kept.samples])
        return Column(np.array([kept.value]), samples)

    def _empty(self) -> Ticks:
        """Which looks found no data, of itself or of what it is compared with."""
        empty = ~np.isfinite(self._reading.values)
        if self._control is not None:
            empty |= ~np.isfinite(self._control.values)
        return empty | (self._rule.gate.kind is GateKind.BASELINE and self._kept is None)

    def _missing(self) -> str:
        gate = self._rule.gate
        if gate.kind is GateKind.BASELINE and self._kept is None:
            return f"no baseline of {gate.metric}: {self._no_baseline()}"
        if np.isfinite(self._reading.values).any():
            return self._recorded.why_nothing(gate, "control")
        return self._recorded.why_nothing(gate, gate.cohort)

    def _no_baseline(self) -> str:
        metric = self._rule.gate.metric
        asked = [one for one in self._recorded.plan.baselines if one.metric == metric]
        for gate in asked:
            column = self._recorded.column(gate, gate.cohort, _baseline_every(self._recorded.plan))
            if np.isfinite(column.values).any():
                return f"no reading of it rests on {gate.min_samples} samples in {format_duration(gate.window)}"
            return self._recorded.why_nothing(gate, gate.cohort)
        return "the plan records none"

    def _verdicts(self) -> Iterator[Verdicts]:
        edges = np.flatnonzero(np.diff(self._codes)) + 1
        for first, last in zip([0, *edges], [*edges, len(self._codes)], strict=True):
            verdict = self._judged(int(first))
            yield Verdicts(
                outcome=verdict.outcome,
                begins=self._time(int(first)),
                ends=self._time(int(last)),
                looks=int(last - first),
                because=verdict.because,
            )

    def _alarms(self, fired: Ticks) -> Iterator[Alarm]:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], fired.astype(int), [0]]))).tolist()
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            because = self._judged(first).because
            yield Alarm(begins=self._time(first), ends=self._time(last), because=because)

    def _judged(self, number: int) -> Verdict:
        """What production would have said at this look, by its own judge."""
        gate, at = self._rule.gate, (number, self._time(number))
        reference = self._kept
        if self._control is not None:
            reference = self._recorded.reading(gate, "control", self._control, at)
        reading = self._recorded.reading(gate, gate.cohort, self._reading, at)
        metric = self._recorded.plan.metrics[gate.metric]
        return judge(gate, metric, Measured(reading=reading, reference=reference))

    def _time(self, number: int) -> datetime:
        return min(self._recorded.begin + number * self._rule.every, self._recorded.end)


def _weighed(recorded: Recorded, rule: _Rule, blank: Replayed) -> Replayed:
    """A statistical rule: all blocks of the time, weighed as one rollout would have."""
    gate, metric = rule.gate, recorded.plan.metrics[rule.gate.metric]
    compares = [s for s in rule.steps if s.percentage and s.percentage < 100]  # noqa: PLR2004  %
    split = budget(recorded.plan)
    if metric.statistic is None or split is None:
        return blank.model_copy(update={"note": f"metric {gate.metric} has no statistic"})
    if not compares or recorded.treatment != "treatment":
        why = "compares two cohorts side by side; this asks for one only"
        return blank.model_copy(update={"note": why})
    share = (compares[0].percentage or 0) / 100
    alphas = {gate.name: split.alpha(f"{rule.place}/{gate.name}")}
    exposure = Exposure(since=recorded.begin, share=share, alphas=alphas)
    spans = spans_until(gate, exposure, recorded.end)
    known = (share, recorded.plan.stale_after)
    measured = measure_blocks(recorded.read_all, metric.statistic, spans, known, resets=True)
    weighed = weigh_all(gate, metric, exposure, measured)
    counted = [block for block in measured if not block.problem]
    failed = () if weighed.failed_at is None else (weighed.failed_at,)
    because = weighed.verdict.because
    told = Verdicts(
        outcome=weighed.verdict.outcome,
        begins=failed[0] if failed else recorded.begin,
        ends=recorded.end,
        looks=len(measured),
        because=because,
    )
    return blank.model_copy(
        update={
            "every": gate.window,
            "looks": len(measured),
            "successful": len(counted) - len(failed),
            "failed": len(failed),
            "no_data": len(measured) - len(counted),
            "alarms": tuple(Alarm(begins=at, ends=recorded.end, because=because) for at in failed),
            "verdicts": (told,),
            "note": _nothing_weighed(recorded, gate, bool(counted)),
        }
    )


def _nothing_weighed(recorded: Recorded, gate: Gate, counted: bool) -> str:
    if counted:
        return ""
    for cohort in ("treatment", "control"):
        if why := recorded.why_nothing(gate, cohort):
            return why
    return ""
