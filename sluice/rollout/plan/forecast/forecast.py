"""Forecast of a healthy rollout: by step and gate, the chance of a false action and of a verdict. Pure.

Red flags are looked at all the time while a step is live; a step's gates at its checks, until they
were Successful for ``stable_for`` after its ``hold``, or the deadline.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from sluice.rollout.analysis.gate import Gate, GateKind, Severity
from sluice.rollout.analysis.tracks import FIRST_ATTEMPT_SHARE
from sluice.rollout.model import Model
from sluice.rollout.plan.alpha_budget import RuleGroup, gate_alpha
from sluice.rollout.plan.forecast.rhythm import START_HOUR
from sluice.rollout.plan.forecast.scan import NODES, normal_beyond
from sluice.rollout.plan.forecast.signals import HealthyReading, healthy_signal
from sluice.rollout.plan.schema import ExpectedTraffic, RolloutPlan, Step
from sluice.rollout.yaml_document import Problem

_CROSSINGS_MAX, _NEGLIGIBLE = 50.0, 1e-10
CHANCE_SHOWN_MIN = 0.05
_ACTING = (Severity.P0, Severity.P1)


class GateForecast(Model):
    """One gate or red flag in a step. Chances from 0 to 1; None where the traffic says nothing.

    ``false_action``: it takes traffic away or pauses although nothing is wrong. ``is_bound``: at most
    so much, by the gate's part of α. ``verdict``: it passes by the step's deadline. ``decides``: it
    is neither a dry run nor only noted.
    """

    step: str
    gate: str
    group: RuleGroup
    false_action: float | None
    is_bound: bool = False
    verdict: float | None = None
    decides: bool = True


class StepForecast(Model):
    """One step with its gates. ``false_action``: of any fixed threshold; ``alpha``: at most, of others."""

    step: str
    false_action: float
    alpha: float
    verdict: float
    gates: tuple[GateForecast, ...]


@dataclass(frozen=True)
class _Visit:
    """A step, the share of users with the treatment, and the hours from Monday 0:00 of its stay."""

    step: Step
    share: float
    begin: float
    hours: float


def forecast_rollout(plan: RolloutPlan, traffic: ExpectedTraffic) -> tuple[StepForecast, ...]:
    """Return the forecast of every step, in order; the rollout begins on a Monday at eight."""
    return tuple(_forecast_step(plan, traffic, visit) for visit in _visits(plan))


def forecast_warnings(plan: RolloutPlan, traffic: ExpectedTraffic) -> Iterator[Problem]:
    """Yield the rules by which chance alone would stop a healthy rollout, or keep a step from ending."""
    for index, step in enumerate(forecast_rollout(plan, traffic)):
        for gate in step.gates:
            if text := _warning(gate):
                place = getattr(plan.steps[index], gate.group)
                number = next(i for i, one in enumerate(place) if one.name == gate.gate)
                yield ("steps", index, gate.group, number), f"{step.step}/{gate.gate}: {text}"


def _warning(gate: GateForecast) -> str:
    if gate.decides and not gate.is_bound and (gate.false_action or 0) >= CHANCE_SHOWN_MIN:
        action = "fires" if gate.group == "red_flags" else "steps back at the deadline"
        return f"by chance alone it {action} in {gate.false_action:.0%} of healthy rollouts; --fit helps"
    if gate.decides and gate.verdict is not None and gate.verdict < 1 - CHANCE_SHOWN_MIN:
        return f"it passes by the step's deadline in only {gate.verdict:.0%} of healthy rollouts"
    return ""


def false_action_chance(steps: Sequence[StepForecast]) -> float:
    """Return the chance that a fixed threshold stops the healthy rollout anywhere."""
    return 1 - math.prod(1 - step.false_action for step in steps)


def _visits(plan: RolloutPlan) -> Iterator[_Visit]:
    begin = START_HOUR
    for index, (step, percentage) in enumerate(plan.exposures()):
        following = plan.steps[index + 1].checklist if index + 1 < len(plan.steps) else ()
        needed = [item.at_least for item in following if item.at_least is not None]
        stay = max(step.hold, step.initial_delay + step.interval + step.stable_for, *needed)
        hours = stay.total_seconds() / 3600
        yield _Visit(step, percentage / 100, begin, hours)
        begin += hours


def _forecast_step(plan: RolloutPlan, traffic: ExpectedTraffic, visit: _Visit) -> StepForecast:
    step = visit.step
    looks = _Looks.of(visit)
    gates: list[GateForecast] = []
    together = [1.0] * len(looks.hours)
    for gate in step.gates:
        signal = healthy_signal(plan, gate, traffic, visit.share)
        passes, fails = _look_chances(signal, looks)
        verdict, failed = looks.verdict(passes, fails)
        if gate.claim == "non_inferiority":
            verdict = success_chance(plan, gate, traffic, visit.share)
        bound = _alpha(plan, "gates", gate, visit)
        unknown = bound is None and signal is None
        gates.append(
            GateForecast(
                step=step.name,
                gate=gate.name,
                group="gates",
                false_action=bound if bound is not None else None if unknown else failed,
                is_bound=bound is not None,
                verdict=None if unknown else verdict,
                decides=not gate.dry_run,
            )
        )
        if not gate.dry_run and gate.claim == "harm":
            together = [a * b for a, b in zip(together, passes, strict=True)]
    gates += [_forecast_red_flag(plan, flag, traffic, visit) for flag in step.red_flags]
    acting = [one for one in gates if one.decides and one.false_action is not None]
    criteria = [
        one.verdict for one, gate in zip(gates, step.gates, strict=False) if _is_criterion(gate)
    ]
    return StepForecast(
        step=step.name,
        false_action=1
        - math.prod(1 - (one.false_action or 0) for one in acting if not one.is_bound),
        alpha=sum(one.false_action or 0 for one in acting if one.is_bound),
        verdict=looks.verdict(together, [0.0] * len(together))[0]
        * math.prod(chance or 0.0 for chance in criteria),
        gates=tuple(gates),
    )


def _is_criterion(gate: Gate) -> bool:
    return gate.claim == "non_inferiority" and not gate.dry_run


def success_chance(plan: RolloutPlan, gate: Gate, traffic: ExpectedTraffic, share: float) -> float:
    """Return the chance that a treatment as good as control shows it in time for the deadline.

    The evidence grows with the square root of the users, and varies by one standard deviation.
    """
    if find_spec("numpy") is None or not 0 < share < 1:
        return 0.0
    from sluice.rollout.plan.detection import hours_to_show_non_inferiority  # noqa: PLC0415  numpy

    step = next(step for step in plan.steps if gate in step.gates)
    alpha = gate_alpha(plan, ("gates", step.name), gate) * FIRST_ATTEMPT_SHARE
    statistic = plan.metrics[gate.metric].statistic
    median = hours_to_show_non_inferiority(statistic, share, traffic, alpha)
    hours = (step.deadline - step.stable_for).total_seconds() / 3600
    if math.isinf(median) or hours <= 0:
        return 0.0
    grown = math.sqrt(hours / median) if traffic.users is None else 1.0
    if traffic.users is not None:
        per_user = traffic.queries_per_day / 24 * traffic.feedback_share / traffic.users
        grown = math.sqrt(math.expm1(-hours * per_user) / math.expm1(-median * per_user))
    return 1 - normal_beyond(math.sqrt(-2 * math.log(alpha)) * (grown - 1))


def _forecast_red_flag(
    plan: RolloutPlan, flag: Gate, traffic: ExpectedTraffic, visit: _Visit
) -> GateForecast:
    bound = _alpha(plan, "red_flags", flag, visit)
    signal = None if bound is not None else healthy_signal(plan, flag, traffic, visit.share)
    return GateForecast(
        step=visit.step.name,
        gate=flag.name,
        group="red_flags",
        false_action=bound if signal is None else _firing_chance(signal, visit),
        is_bound=bound is not None,
        decides=not flag.dry_run and flag.severity in _ACTING,
    )


def _alpha(plan: RolloutPlan, group: RuleGroup, gate: Gate, visit: _Visit) -> float | None:
    """Return a statistical gate's part of α in the step, its hours included; None for others."""
    if gate.kind is not GateKind.STATISTICAL:
        return None
    return gate_alpha(plan, (group, visit.step.name), gate) if 0 < visit.share < 1 else 0.0


def _firing_chance(signal: HealthyReading, visit: _Visit) -> float:
    """Return the chance that a red flag fires at any time of a healthy step."""
    hours = range(max(1, math.ceil(visit.hours - 1e-6)))
    if _is_always_quiet(signal, visit):
        return 0.0
    quiet = sum(
        weight * math.prod(_quiet_hour(signal, visit, number, offset) for number in hours)
        for offset, weight in _offsets(signal)
    )
    return min(1.0, max(0.0, 1 - quiet))


def _is_always_quiet(signal: HealthyReading, visit: _Visit) -> bool:
    """Return True when even an extreme hour of a day would practically never fire it."""
    edges = (NODES[0][0], NODES[-1][0])
    extremes = [(mix, offset) for mix in edges for offset in edges]
    hours = [visit.begin + number for number in range(1, 169, 2)]
    return all(signal.fails(hour, *state) < _NEGLIGIBLE for hour in hours for state in extremes)


def _offsets(signal: HealthyReading) -> Sequence[tuple[float, float]]:
    """Return the errors of the reference that matter, in standard deviations, with their weights."""
    return NODES if signal.has_reference else ((0.0, 1.0),)


def _quiet_hour(signal: HealthyReading, visit: _Visit, number: int, offset: float) -> float:
    """Return the chance that a red flag keeps quiet in one hour of the step."""
    hour = visit.begin + number + 1
    length = min(1.0, visit.hours - number)
    fires = sum(
        weight * _fires(signal, hour, (mix, offset), (number == 0, length)) for mix, weight in NODES
    )
    return 1 - signal.judged_chance(hour) * fires


def _fires(
    signal: HealthyReading, hour: float, state: tuple[float, float], look: tuple[bool, float]
) -> float:
    """Return the chance that it fires in a part of an hour, the first look of the step included."""
    is_first, length = look
    failing, again = signal.fails(hour, *state), signal.gate.consecutive - 1
    if failing < _NEGLIGIBLE:
        return 0.0
    crossings = min(_CROSSINGS_MAX, signal.crossings(hour, *state) * length)
    started = failing if is_first else 0.0
    return (1 - (1 - started) * math.exp(-crossings)) * failing**again


@dataclass(frozen=True)
class _Looks:
    """The checks of a step until its deadline: their hours, and from which on it may end."""

    hours: tuple[float, ...]
    first_end: int
    streak: int

    @classmethod
    def of(cls, visit: _Visit) -> "_Looks":
        step = visit.step
        interval, delay = step.interval.total_seconds(), step.initial_delay.total_seconds()
        count = max(1, math.floor((step.deadline.total_seconds() - delay) / interval))
        times = [delay + (number + 1) * interval for number in range(count)]
        held = [i for i, seconds in enumerate(times) if seconds >= step.hold.total_seconds()]
        return cls(
            tuple(visit.begin + seconds / 3600 for seconds in times),
            held[0] if held else count - 1,
            math.ceil(step.stable_for.total_seconds() / interval) + 1,
        )

    def verdict(self, passes: Sequence[float], fails: Sequence[float]) -> tuple[float, float]:
        """Return the chance of an end by the deadline, and that the last look fails without one."""
        streaks, ended = [1.0] + [0.0] * self.streak, 0.0
        before = streaks
        for look, chance in enumerate(passes):
            before = streaks
            longer = [0.0, *(one * chance for one in streaks[:-1])]
            longer[-1] += streaks[-1] * chance
            longer[0] = sum(streaks) * (1 - chance)
            streaks = longer
            if look >= self.first_end:
                ended, streaks[-1] = ended + streaks[-1], 0.0
        return min(1.0, ended), sum(before) * fails[-1] if ended < 1 else 0.0


def _look_chances(signal: HealthyReading | None, looks: _Looks) -> tuple[list[float], list[float]]:
    """Return the chances that each check of a gate is Successful, and that it is Failed."""
    if signal is None:
        return [1.0] * len(looks.hours), [0.0] * len(looks.hours)
    passes, fails = [], []
    for hour in looks.hours:
        failing = sum(
            a * b * signal.fails(hour, mix, offset)
            for mix, a in NODES
            for offset, b in _offsets(signal)
        )
        judged = signal.judged_chance(hour)
        passes.append(judged * (1 - failing))
        fails.append(judged * failing)
    return passes, fails
