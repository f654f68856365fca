"""Backtest: a plan's gates over recorded metrics, at the intervals of production.

The verdicts come from ``sluice.rollout.analysis.judge`` and ``sluice.rollout.analysis.sequential_gate``, as in production. The recorded
system's health is not known here: over a quiet time, every alarm is false.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from activities.measuring.gate_evaluator import usable_baseline
from sluice.rehearsal.arrays import Ints
from sluice.rehearsal.backtest.history import PrometheusHistory
from sluice.rehearsal.backtest.result import Alarm, BacktestResult, RuleReplay, VerdictInterval
from sluice.rehearsal.lookahead.batch_evidence import (
    BlockContext,
    block_spans,
    evaluate_blocks,
    measure_blocks,
)
from sluice.rehearsal.lookahead.vectorized_judge import (
    OutcomeCode,
    SampleColumn,
    firing_mask,
    judge_column,
)
from sluice.rollout.analysis.gate import Gate, GateKind
from sluice.rollout.analysis.judge import judge
from sluice.rollout.analysis.reading import GateReadings, Reading
from sluice.rollout.analysis.sequential_state import EvidenceContext
from sluice.rollout.analysis.verdict import Verdict
from sluice.rollout.plan.alpha_budget import allocate_alpha
from sluice.rollout.plan.schema import RolloutPlan, Step
from sluice.rollout.units import format_duration

BASELINE_INTERVAL = timedelta(hours=1)
BaselineReadings = Mapping[str, Reading]


@dataclass(frozen=True)
class _Rule:
    """A gate of the plan, with all steps that have an equal one."""

    gate: Gate
    section: str
    interval: timedelta
    steps: tuple[Step, ...]


def run_backtest(history: PrometheusHistory, interval: timedelta) -> BacktestResult:
    """Replay all rules: gates at their step's interval, red flags at ``interval``.

    Raises:
        PrometheusFailedError: Prometheus does not answer, or refuses a query.
    """
    baseline = _usable_baselines(history)
    rules = [_replay_rule(history, rule, baseline) for rule in _rules(history.plan, interval)]
    return BacktestResult(
        plan=history.plan.name,
        source=history.client.url,
        treatment=history.treatment,
        begin=history.begin,
        end=history.end,
        baseline=dict(baseline),
        rules=tuple(rules),
    )


def _rules(plan: RolloutPlan, every: timedelta) -> Iterator[_Rule]:
    steps_by_rule: dict[tuple[str, Gate, timedelta], list[Step]] = {}
    for step in plan.steps:
        for place, gates, often in (
            ("gates", step.gates, step.interval),
            ("red_flags", step.red_flags, every),
        ):
            for gate in gates:
                is_statistical = gate.kind is GateKind.STATISTICAL  # per block, at any interval
                key = (place, gate, gate.window if is_statistical else often)
                steps_by_rule.setdefault(key, []).append(step)
    for (place, gate, often), steps in steps_by_rule.items():
        yield _Rule(gate, place, often, tuple(steps))


def _usable_baselines(history: PrometheusHistory) -> dict[str, Reading]:
    """Return the first valid reading of each baseline, at the intervals of the plan's checks."""
    baselines: dict[str, Reading] = {}
    every = _baseline_interval(history.plan)
    for gate in history.plan.baselines:
        column = history.gate_column(gate, gate.cohort, every)
        has_samples = True if column.samples is None else column.samples >= gate.min_samples
        for number in np.flatnonzero(np.isfinite(column.values) & has_samples)[:1].tolist():
            at = (number, history.begin + number * every)
            reading = history.reading(gate, gate.cohort, column, at)
            baselines |= usable_baseline((gate,), (reading,))
    return baselines


def _baseline_interval(plan: RolloutPlan) -> timedelta:
    """Return an hour, or the interval of the step that records baselines when it is shorter."""
    often = (step.interval for step in plan.steps if step.record_baseline)
    return min([BASELINE_INTERVAL, *often])


def _replay_rule(history: PrometheusHistory, rule: _Rule, baseline: BaselineReadings) -> RuleReplay:
    blank = RuleReplay(
        gate=rule.gate.name,
        kind="gate" if rule.section == "gates" else "red flag",
        steps=tuple(step.name for step in rule.steps),
        severity=rule.gate.severity,
        dry_run=rule.gate.dry_run,
        interval=rule.interval,
    )
    if rule.gate.kind is GateKind.STATISTICAL:
        return _replay_statistical_rule(history, rule, blank)
    return _ThresholdReplay(history, rule, baseline).replay(blank)


class _ThresholdReplay:
    """Replay of one threshold rule: its readings and verdicts."""

    def __init__(self, history: PrometheusHistory, rule: _Rule, baseline: BaselineReadings) -> None:
        self._history, self._rule, gate = history, rule, rule.gate
        self._column = history.gate_column(gate, gate.cohort, rule.interval)
        self._control_column = None
        if gate.kind is GateKind.CONTROL:
            self._control_column = history.gate_column(gate, "control", rule.interval)
        self._baseline_reading = (
            baseline.get(gate.metric) if gate.kind is GateKind.BASELINE else None
        )
        self._codes = judge_column(
            gate, self._column, self._control_column or self._baseline_column()
        )

    def replay(self, blank: RuleReplay) -> RuleReplay:
        codes, empty = self._codes, self._no_data_mask()
        full = np.flatnonzero(~empty).tolist()
        flag = self._rule.section == "red_flags"
        fired = (
            firing_mask(self._rule.gate, codes, self._rule.interval.total_seconds())
            if flag
            else codes == OutcomeCode.FAILED
        )
        return blank.model_copy(
            update={
                "evaluations": len(codes),
                "successful": int((codes == OutcomeCode.SUCCESSFUL).sum()),
                "failed": int((codes == OutcomeCode.FAILED)[~empty].sum()),
                "inconclusive": int((codes == OutcomeCode.INCONCLUSIVE)[~empty].sum()),
                "no_data": int(empty.sum()),
                "alarms": tuple(self._alarms(fired)),
                "verdicts": tuple(self._verdict_intervals()),
                "data_from": self._time_at(full[0]) if full else None,
                "data_to": self._time_at(full[-1]) if full else None,
                "note": self._no_data_reason() if empty.all() else "",
            }
        )

    def _baseline_column(self) -> SampleColumn | None:
        reading = self._baseline_reading
        if reading is None or reading.value is None:
            return None
        samples = None if reading.samples is None else np.array([reading.samples])
        return SampleColumn(np.array([reading.value]), samples)

    def _no_data_mask(self) -> Ints:
        """Return a mask of the checks without data, of the gate or of its reference."""
        empty = ~np.isfinite(self._column.values)
        if self._control_column is not None:
            empty |= ~np.isfinite(self._control_column.values)
        return empty | (
            self._rule.gate.kind is GateKind.BASELINE and self._baseline_reading is None
        )

    def _no_data_reason(self) -> str:
        gate = self._rule.gate
        if gate.kind is GateKind.BASELINE and self._baseline_reading is None:
            return f"no baseline of {gate.metric}: {self._no_baseline_reason()}"
        if np.isfinite(self._column.values).any():
            return self._history.explain_missing(gate, "control")
        return self._history.explain_missing(gate, gate.cohort)

    def _no_baseline_reason(self) -> str:
        metric = self._rule.gate.metric
        metric_baselines = [
            baseline for baseline in self._history.plan.baselines if baseline.metric == metric
        ]
        for gate in metric_baselines:
            column = self._history.gate_column(
                gate, gate.cohort, _baseline_interval(self._history.plan)
            )
            if np.isfinite(column.values).any():
                return f"none of its readings has {gate.min_samples} samples in {format_duration(gate.window)}"
            return self._history.explain_missing(gate, gate.cohort)
        return "the plan does not record one"

    def _verdict_intervals(self) -> Iterator[VerdictInterval]:
        edges = np.flatnonzero(np.diff(self._codes)) + 1
        for first, last in zip([0, *edges], [*edges, len(self._codes)], strict=True):
            verdict = self._judge_at(int(first))
            yield VerdictInterval(
                outcome=verdict.outcome,
                begin=self._time_at(int(first)),
                end=self._time_at(int(last)),
                evaluations=int(last - first),
                reason=verdict.reason,
            )

    def _alarms(self, fired: Ints) -> Iterator[Alarm]:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], fired.astype(int), [0]]))).tolist()
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            reason = self._judge_at(first).reason
            yield Alarm(begin=self._time_at(first), end=self._time_at(last), reason=reason)

    def _judge_at(self, number: int) -> Verdict:
        """Return production's verdict at this check, by production's judge."""
        gate, at = self._rule.gate, (number, self._time_at(number))
        reference = self._baseline_reading
        if self._control_column is not None:
            reference = self._history.reading(gate, "control", self._control_column, at)
        reading = self._history.reading(gate, gate.cohort, self._column, at)
        metric = self._history.plan.metrics[gate.metric]
        return judge(gate, metric, GateReadings(reading=reading, reference=reference))

    def _time_at(self, number: int) -> datetime:
        return min(self._history.begin + number * self._rule.interval, self._history.end)


def _replay_statistical_rule(
    history: PrometheusHistory, rule: _Rule, blank: RuleReplay
) -> RuleReplay:
    """Replay a statistical rule over all blocks of the time, as one rollout."""
    gate, metric = rule.gate, history.plan.metrics[rule.gate.metric]
    compares = [s for s in rule.steps if s.percentage and s.percentage < 100]  # noqa: PLR2004  %
    split = allocate_alpha(history.plan)
    if metric.statistic is None or split is None:
        return blank.model_copy(update={"note": f"metric {gate.metric} has no statistic"})
    if not compares or history.treatment != "treatment":
        reason = "compares two cohorts side by side; this asks for one only"
        return blank.model_copy(update={"note": reason})
    share = (compares[0].percentage or 0) / 100
    alphas = {gate.name: split.alpha(f"{rule.section}/{gate.name}")}
    exposure = EvidenceContext(since=history.begin, share=share, alphas=alphas)
    spans = block_spans(gate, exposure, history.end)
    context = BlockContext(share, history.plan.stale_after, history.begin, resets=True)
    measured = measure_blocks(history.read_columns, metric, spans, context)
    evidence = evaluate_blocks(gate, metric, exposure, measured)
    counted = [block for block in measured if not block.problem]
    failed = () if evidence.failed_at is None else (evidence.failed_at,)
    reason = evidence.verdict.reason
    verdict_reason = VerdictInterval(
        outcome=evidence.verdict.outcome,
        begin=failed[0] if failed else history.begin,
        end=history.end,
        evaluations=len(measured),
        reason=reason,
    )
    return blank.model_copy(
        update={
            "interval": gate.window,
            "evaluations": len(measured),
            "successful": len(counted) - len(failed),
            "failed": len(failed),
            "no_data": len(measured) - len(counted),
            "alarms": tuple(Alarm(begin=at, end=history.end, reason=reason) for at in failed),
            "verdicts": (verdict_reason,),
            "note": _no_blocks_reason(history, gate, bool(counted)),
        }
    )


def _no_blocks_reason(history: PrometheusHistory, gate: Gate, counted: bool) -> str:
    if counted:
        return ""
    for cohort in ("treatment", "control"):
        if reason := history.explain_missing(gate, cohort):
            return reason
    return ""
