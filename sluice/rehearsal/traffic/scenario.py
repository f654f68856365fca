"""Scenarios: the traffic, its faults, and the expected end."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from sluice.rollout import units
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Model
from sluice.rollout.plan.schema import Name, RolloutPlan, Step
from sluice.rollout.units import Duration, Threshold, parse_duration
from sluice.rollout.yaml_document import Problem, field_names, parse, problems_in, read_text

SCENARIO_FOLDER = Path(__file__).parent / "scenarios"
Positive = Annotated[Threshold, Field(gt=0)]
Share = Annotated[units.Share, Field(ge=0, le=1)]


class FaultKind(StrEnum):
    """Kinds of faults; ``SIZE_MEANINGS`` explains a fault's ``size``."""

    LATENCY = "latency"
    TAIL = "tail"
    ERRORS = "errors"
    REWARD = "reward"
    QUEUE = "queue"
    MEMORY = "memory"
    LEARNER = "learner"
    CACHE = "cache"
    SCRAPE = "scrape"
    NAN = "nan"
    REDIS = "redis"
    COMPLAINTS = "complaints"
    CRASH = "crash"


SIZE_MEANINGS = {
    FaultKind.LATENCY: "factor on every query's time",
    FaultKind.TAIL: "factor on the slowest 3 % of queries",
    FaultKind.ERRORS: "share of queries that fail besides the usual",
    FaultKind.REWARD: "how much lower the mean reward is",
    FaultKind.QUEUE: "feedback waiting besides the usual",
    FaultKind.MEMORY: "bytes that leak per hour",
    FaultKind.CACHE: "how much lower the hit rate is",
    FaultKind.REDIS: "failed operations per minute",
    FaultKind.COMPLAINTS: "complaints per hour",
}
"""The kinds of faults with a size, and its meaning."""


class TrafficModel(Model):
    """The healthy traffic (guide, Stage 1: ~100 QPS, P50 ~200 ms)."""

    queries_per_second: Positive = 100.0
    users: int = Field(default=2000, ge=20, le=20000)
    error_rate: Share = 0.003
    latency_p50: Positive = 0.2
    latency_spread: Positive = 0.6
    cache_hit_rate: Share = 0.93
    feedback_share: Share = 0.3
    reward_control: Share = 0.6
    reward_treatment: Share = 0.8
    accuracy: Share = 0.982
    accuracy_gain: Share = 0.01


class ScenarioFault(Model):
    """A fault that begins ``after`` the step's entry and may grow over time.

    The step has the name ``step``; in a plan without it, or where ``step`` is left out, it is the
    first with at least ``percentage``.
    """

    kind: FaultKind
    step: Name | None = None
    percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    after: Duration
    duration: Duration | None = None
    ramp_up: Duration = parse_duration("0s")
    size: Positive | None = None
    cohort: Cohort = "treatment"

    @model_validator(mode="after")
    def _check_size_and_step(self) -> Self:
        if self.step is None and self.percentage is None:
            raise ValueError("needs step or percentage, its place in the plan")
        if self.kind in SIZE_MEANINGS and self.size is None:
            raise ValueError(f"a {self.kind} fault needs size: {SIZE_MEANINGS[self.kind]}")
        if self.kind not in SIZE_MEANINGS and self.size is not None:
            raise ValueError(f"a {self.kind} fault has no size; remove it")
        return self

    def find_step(self, plan: RolloutPlan) -> Step | None:
        """Return the step of ``plan`` in which the fault begins, or None."""
        by_name = (step for step in plan.steps if step.name == self.step)
        percentage_min = self.percentage
        exposing = (
            step
            for step in plan.steps
            if percentage_min is not None
            and step.percentage is not None
            and step.percentage >= percentage_min
        )
        return next(chain(by_name, exposing), None)


class RehearsalEnding(StrEnum):
    """The end of a rehearsal; all but the first wait for a person."""

    HEALTHY = "Healthy"
    ROLLED_BACK = "rolled back"
    PAUSED = "Paused"


class Expectation(Model):
    """The expected end: its step, and the gates or red flags that may decide."""

    ending: RehearsalEnding
    step: Name | None = None
    triggered_by: Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(v) if v else ())] = ()


class Scenario(Model):
    """A scenario file. ``expect`` applies to plans/phase4.yaml, or to the plan named ``plan``.

    ``written_for``: the hold of the faults' step for which the times are written. In another plan
    they are in proportion to its step's hold. Without it they are absolute.
    """

    name: Name
    title: str = Field(min_length=1)
    plan: Name = "phase4"
    written_for: Duration | None = None
    traffic: TrafficModel = TrafficModel()
    faults: Annotated[
        tuple[ScenarioFault, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
    ] = ()
    expect: Expectation | Literal["anything"] = "anything"


def cross_check(scenario: Scenario) -> Iterator[Problem]:
    """Yield mistakes that involve several fields."""
    expect = scenario.expect
    if isinstance(expect, Expectation):
        if expect.ending is not RehearsalEnding.HEALTHY and expect.step is None:
            yield ("expect", "step"), f"is missing; name the step of the end {expect.ending}"
        if expect.ending is RehearsalEnding.HEALTHY and (expect.step or expect.triggered_by):
            yield ("expect",), "a Healthy end has neither step nor triggered_by"
    places = {(fault.step, fault.percentage) for fault in scenario.faults}
    if len(places) > 1:
        yield ("faults",), "must all begin in the same step; the delay is counted from there"


def scenario_names() -> tuple[str, ...]:
    """Return the names of the bundled scenarios."""
    return tuple(sorted(path.stem for path in SCENARIO_FOLDER.glob("*.yaml")))


def load_scenario(name: str) -> Scenario:
    """Read a scenario of the library, or a file when ``name`` is a path.

    Raises:
        PlanError: with one Diagnostic for each mistake.
        KeyError: neither a scenario nor a file has this name.
    """
    library_file = SCENARIO_FOLDER / f"{name}.yaml"
    if name in scenario_names():
        return parse_scenario(read_text(library_file))
    if not Path(name).suffix and not Path(name).exists():
        raise KeyError(name)
    return parse_scenario(read_text(Path(name)))


def parse_scenario(text: str) -> Scenario:
    """Validate the text of a scenario; raise PlanError as load_scenario does."""
    return parse(text, "scenario", "name, title", _validate)


def _validate(data: Any) -> tuple[Scenario | None, list[Problem]]:  # noqa: ANN401  YAML is anything
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        return None, problems_in(error, field_names(Scenario))
    return scenario, list(cross_check(scenario))


HEALTHY_SCENARIO = "healthy"
