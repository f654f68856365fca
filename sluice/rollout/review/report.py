"""The post-mortem as data: everything the guide's Lessons Learned Template asks for, and no I/O.

``build_report`` takes the state of a rollout and its recorded checks; ``sluice.rollout.review.lessons`` writes
the sentences; templates and plots elsewhere only show what is in here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.analysis.verdict import Check, Outcome, Verdict, worst_outcome
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Rollback, State
from sluice.rollout.plan.schema import Step
from sluice.rollout.review.blast_radius import BlastRadius, blast_radii
from sluice.rollout.review.control_comparison import ControlComparison, control_comparisons
from sluice.rollout.review.metric_impacts import (
    SERIES_SUFFIX,
    MetricImpact,
    gate_verdicts,
    metric_impacts,
)

ReportEnding = Literal["Healthy", "Aborted", "Interim"]


@dataclass(frozen=True, kw_only=True)
class StageSpan:
    """The time of a stage, or of a step without a stage; both None when it was not reached."""

    stage: int | None
    title: str
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """One gate over all checks of its step. ``last_failed``: the newest verdict that Failed."""

    gate: str
    guide: str
    kind: GateKind
    outcomes: dict[Outcome, int]
    last: Verdict
    last_failed: Verdict | None = None

    @property
    def check_count(self) -> int:
        return sum(self.outcomes.values())

    @property
    def worst(self) -> Outcome:
        return worst_outcome(self.outcomes)


@dataclass(frozen=True, kw_only=True)
class StepChecks:
    """All checks of one step."""

    step: str
    title: str
    percentage: float | None
    first: datetime
    last: datetime
    outcomes: dict[Outcome, int]
    gates: tuple[GateRow, ...]


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """One value; a dataclass, since a report has thousands."""

    at: datetime
    value: float


@dataclass(frozen=True, kw_only=True)
class Series:
    """One measured metric over time, and the limits its gates had at those times."""

    title: str
    unit: str
    points: tuple[SeriesPoint, ...]
    limits: dict[str, tuple[SeriesPoint, ...]]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished (or interim) rollout, ready to be written down."""

    title: str
    rollout_id: str
    flag: str
    environment: str
    description: str
    ending: ReportEnding
    started_at: datetime
    written_at: datetime
    percentage_max: float
    stages: tuple[StageSpan, ...]
    impacts: tuple[MetricImpact, ...]
    comparisons: tuple[ControlComparison, ...]
    decisions: tuple[Event, ...]
    red_flag_events: tuple[Event, ...]
    rollbacks: tuple[Rollback, ...]
    blast_radii: tuple[BlastRadius, ...]
    steps: tuple[StepChecks, ...]
    events: tuple[Event, ...]
    percentages: tuple[SeriesPoint, ...]
    series: tuple[Series, ...]
    names_are_claims: bool = True
    chain_head: str = ""

    @property
    def duration(self) -> timedelta:
        return self.written_at - self.started_at


def build_report(
    state: State, ending: ReportEnding, at: datetime, checks: Sequence[Check]
) -> Report:
    """Put together what happened. Pure: the same arguments give the same report."""
    plan = state.plan
    steps = {step.name: step for step in plan.steps}
    plan_checks = sorted(
        (check for check in checks if check.step in steps), key=lambda check: check.at
    )
    percentages = tuple(_percentages(state, at))
    rollbacks = (*state.rollbacks, *([state.rollback] if state.rollback else []))
    return Report(
        title=f"{_title_case(plan.name)} Deployment Post-Mortem",
        rollout_id=state.rollout_id,
        flag=plan.flag,
        environment=plan.environment,
        description=plan.description,
        ending=ending,
        started_at=state.started_at,
        written_at=at,
        percentage_max=max((point.value for point in percentages), default=0.0),
        stages=tuple(_stages(state, plan_checks, at)),
        impacts=tuple(metric_impacts(state, plan_checks)),
        comparisons=tuple(control_comparisons(state)),
        decisions=tuple(event for event in state.timeline if event.actor != "sluice"),
        red_flag_events=tuple(event for event in state.timeline if event.kind == "red_flag"),
        rollbacks=rollbacks,
        blast_radii=tuple(blast_radii(state, rollbacks, plan_checks)),
        steps=tuple(_steps(steps, plan_checks)),
        events=state.timeline,
        percentages=percentages,
        series=tuple(sorted(_series(steps, plan_checks), key=_series_rank)),
        names_are_claims=not state.decisions.has_keyring,
        chain_head=state.timeline[-1].digest if state.timeline else "",
    )


def _series_rank(series: Series) -> int:
    """Latency, errors and reward first: they are what the guide watches; a plot may lack room."""
    matches = (word in series.title for word in ("latency_p99", "error", "reward"))
    return next((rank for rank, is_shown in enumerate(matches) if is_shown), 3)


def _title_case(name: str) -> str:
    """``phase4-demo`` → ``Phase 4 Demo``, as the guide's heading spells it; ``v2`` → ``V2``."""
    spaced = re.sub(r"(?i)(?<![a-z])(phase|stage|step|wave|part|round)(?=\d)", r"\1 ", name)
    words = re.sub(r"[-_.]+", " ", spaced).split()
    return " ".join(word[0].upper() + word[1:] for word in words)


def _percentages(state: State, at: datetime) -> Iterator[SeriesPoint]:
    for event in state.timeline:
        if event.percentage is not None:
            yield SeriesPoint(at=event.at, value=event.percentage)
    yield SeriesPoint(at=at, value=state.percentage)


def _stages(state: State, checks: Sequence[Check], at: datetime) -> Iterator[StageSpan]:
    occurrences = [(event.step, event.at) for event in state.timeline if event.kind == "step"]
    occurrences += [(check.step, check.at) for check in checks]
    groups: dict[int | str, list[Step]] = {}
    for step in state.plan.steps:
        groups.setdefault(step.stage or step.name, []).append(step)
    began: dict[int | str, datetime] = {}
    for key, steps in groups.items():
        if times := [at for name, at in occurrences if name in {step.name for step in steps}]:
            began[key] = min(times)
    ends = dict(pairwise(began))
    for key, steps in groups.items():
        first, last = steps[0], steps[-1]
        title = first.title if first is last else f"{first.title} … {last.title}"
        ended = began.get(ends.get(key, ""), at) if key in began else None
        yield StageSpan(stage=first.stage, title=title, began=began.get(key), ended=ended)


def _steps(steps: dict[str, Step], checks: Sequence[Check]) -> Iterator[StepChecks]:
    for step in steps.values():
        step_checks = [check for check in checks if check.step == step.name]
        if step_checks:
            yield StepChecks(
                step=step.name,
                title=step.title,
                percentage=step.percentage,
                first=step_checks[0].at,
                last=step_checks[-1].at,
                outcomes=Counter(check.outcome for check in step_checks),
                gates=tuple(_gate_rows(step, step_checks)),
            )


def _gate_rows(step: Step, checks: Sequence[Check]) -> Iterator[GateRow]:
    by_gate: dict[str, list[Verdict]] = {}
    for check in checks:
        for verdict in check.verdicts:
            by_gate.setdefault(verdict.gate, []).append(verdict)
    for gate in step.gates:
        verdicts = by_gate.get(gate.name, [])
        failed = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAILED]
        if verdicts:
            yield GateRow(
                gate=gate.name,
                guide=gate.guide,
                kind=gate.kind,
                outcomes=Counter(verdict.outcome for verdict in verdicts),
                last=verdicts[-1],
                last_failed=failed[-1] if failed else None,
            )


def _series(steps: dict[str, Step], checks: Sequence[Check]) -> Iterator[Series]:
    points: dict[tuple[str, str], dict[datetime, float]] = {}
    limits: dict[tuple[str, str], dict[str, list[SeriesPoint]]] = {}
    for check in checks:
        for gate, verdict in gate_verdicts(steps[check.step], check):
            key = (
                f"{gate.metric}{SERIES_SUFFIX.get(gate.kind, '')} ({gate.cohort})",
                verdict.unit,
            )
            if verdict.value is not None:
                points.setdefault(key, {})[check.at] = verdict.value
            if verdict.limit is not None:
                line = limits.setdefault(key, {}).setdefault(gate.name, [])
                _extend(line, SeriesPoint(at=check.at, value=verdict.limit))
    for key, values in points.items():
        yield Series(
            title=key[0],
            unit=key[1],
            points=tuple(SeriesPoint(at=at, value=value) for at, value in values.items()),
            limits={name: tuple(line) for name, line in limits.get(key, {}).items()},
        )


def _extend(line: list[SeriesPoint], point: SeriesPoint) -> None:
    """Add a point to a limit's line, which keeps the first and the last of equal ones."""
    if len(line) > 1 and line[-2].value == line[-1].value == point.value:
        line[-1] = point
    else:
        line.append(point)
