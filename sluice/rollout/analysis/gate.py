"""Metrics, and the gates that their readings must pass."""

from enum import StrEnum
from functools import lru_cache
from string import Template
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sluice.rollout.analysis.cohorts import ROUTER_COHORTS, Cohort, CohortMapping
from sluice.rollout.analysis.metric_model import AnyMetricModel
from sluice.rollout.analysis.promql import complete_absence
from sluice.rollout.analysis.statistic import Statistic
from sluice.rollout.model import Model as Model  # noqa: PLC0414  others take it from here
from sluice.rollout.units import Duration, Number, Threshold, Whole, format_duration


class Severity(StrEnum):
    """The guide's severity levels (guide: Escalation Path)."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class GateKind(StrEnum):
    """The kinds of gates, by the quantity that a reading is compared with."""

    ABSOLUTE = "absolute"
    BASELINE = "baseline"
    CONTROL = "control"
    TREND = "trend"
    PRESENCE = "presence"
    STATISTICAL = "statistical"


RELATIVE_KINDS = (GateKind.BASELINE, GateKind.CONTROL)


_CONVERSIONS = {
    **dict.fromkeys(("ms", "millis", "milliseconds"), ("seconds", "divide the query by 1000")),
    **dict.fromkeys(("us", "micros", "microseconds"), ("seconds", "divide the query by 1000000")),
    **dict.fromkeys(("minutes", "min"), ("seconds", "multiply the query by 60")),
    **dict.fromkeys(("percent", "%"), ("ratio", "divide the query by 100")),
    **dict.fromkeys(
        ("rps", "qps", "per_minute"), ("per_second", "use rate(), which is a second's")
    ),
}


def _suggest_conversion(unit: object) -> object:
    if isinstance(unit, str) and unit.lower() in _CONVERSIONS:
        supported, conversion = _CONVERSIONS[unit.lower()]
        raise ValueError(f"{unit!r} is not supported: write {supported}, and {conversion}")
    return unit


Unit = Annotated[
    Literal["seconds", "ratio", "bytes", "count", "score", "per_second"],
    BeforeValidator(_suggest_conversion),
]


class Metric(Model):
    """A PromQL template over ``$cohort`` (a regular expression) and ``$window``.

    ``samples`` is a query of the same shape that counts what the value rests on (requests, users).
    ``statistic``: the counts of this metric's statistical gates. ``cohorts``: the label that
    ``$cohort`` is compared with; the plan's unless given. ``model``: its behavior in rehearsals.
    """

    query: str = Field(min_length=1)
    samples: str | None = None
    statistic: Statistic | None = None
    unit: Unit
    description: str = ""
    cohorts: CohortMapping = ROUTER_COHORTS
    model: AnyMetricModel | None = None

    def value_query(self, gate: "Gate", cohort: Cohort) -> str:
        """Return the PromQL of the value for one cohort over the gate's window."""
        return render_query(self.query, gate, cohort, self.cohorts)

    def samples_query(self, gate: "Gate", cohort: Cohort) -> str | None:
        """Return the PromQL of the sample count likewise; None without one."""
        return render_query(self.samples, gate, cohort, self.cohorts) if self.samples else None


class Gate(Model):
    """One rule. It passes while the value is on the ``direction`` side of the limit.

    The limit is ``threshold`` itself (absolute, trend, presence), or the reference changed by it
    (baseline, control): reference + threshold × |reference|, so that ``+10%`` of a negative reference
    is above it. A trend's value is the metric's slope
    in units per hour. ``floor`` keeps a relative limit from being stricter than it: twice a 20 ms
    baseline is noise, not a red flag. ``min_events``: fewer events among the samples of a share, such as
    failures among queries, fail no gate: it is inconclusive. ``on_no_data`` and ``on_inconclusive`` may hold or fail, never pass.

    A statistical gate has no threshold. It weighs the growth of both cohorts' counters in each
    ``window``, and fails once harm is shown at its part (``weight``) of the plan's α. With
    ``claim: non_inferiority`` it passes only once it is shown that the treatment is not worse by the
    statistic's tolerance. Until then it is inconclusive. ``runbook`` (a path or URL) is shown to
    people when the gate fires.
    """

    name: str = Field(default="", pattern=r"^[a-z0-9_.-]*$")
    metric: str
    kind: GateKind = GateKind.ABSOLUTE
    threshold: Threshold
    direction: Literal["below", "above"] = "below"
    floor: Threshold | None = None
    cohort: Cohort = "treatment"
    window: Duration
    min_samples: Annotated[Whole, Field(ge=0)] = 0
    min_events: Annotated[Whole, Field(ge=0)] = 0
    on_no_data: Literal["hold", "fail"] = "hold"
    on_inconclusive: Literal["hold", "fail"] = "hold"
    consecutive: Annotated[Whole, Field(ge=1, le=100)] = 1
    claim: Literal["harm", "non_inferiority"] = "harm"
    weight: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    dry_run: bool = False
    severity: Severity = Severity.P0
    guide: str = ""
    runbook: str = ""

    @model_validator(mode="before")
    @classmethod
    def _name_after_metric(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("name") and isinstance(data.get("metric"), str):
            data = {**data, "name": data["metric"]}
        if isinstance(data, dict) and data.get("kind") == GateKind.STATISTICAL:
            return {"threshold": 0.0, **data}
        return data

    @model_validator(mode="after")
    def _require_comparable(self) -> Self:
        if self.kind is GateKind.CONTROL and self.cohort != "treatment":
            raise ValueError("a control gate compares the treatment cohort; set cohort: treatment")
        if self.floor is not None and self.kind not in RELATIVE_KINDS:
            raise ValueError("floor belongs to baseline and control gates; remove it")
        if self.kind is GateKind.STATISTICAL:
            if self.threshold:
                raise ValueError("a statistical gate has no threshold; remove it")
            if self.cohort != "treatment":
                raise ValueError(
                    "a statistical gate compares treatment with control; remove cohort"
                )
        elif self.claim != "harm":
            raise ValueError("claim belongs to statistical gates; remove it")
        if self.window.total_seconds() < 1:
            raise ValueError(
                "window must be at least 1s, and longer than a scrape interval, for example 5m"
            )
        return self


def template_problem(template: str) -> str:
    """Return the reason why ``template`` can't be filled in, or an empty text."""
    if not Template(template).is_valid():
        return "has a $ that starts no name; write $cohort or $window, or $$ for a real $"
    unknown = set(Template(template).get_identifiers()) - {"cohort", "window"}
    if unknown:
        return f"may use only $cohort and $window, not ${', $'.join(sorted(unknown))}"
    return ""


def render_query(
    template: str, gate: Gate, cohort: Cohort, cohorts: CohortMapping = ROUTER_COHORTS
) -> str:
    """Return the PromQL of ``template`` for one cohort over the gate's window.

    Raises:
        KeyError, ValueError: when the template names a variable other than $cohort and $window.
    """
    return _fill(template, cohorts.pattern(cohort), format_duration(gate.window))


@lru_cache(maxsize=1024)
def _fill(template: str, pattern: str, window: str) -> str:
    return complete_absence(Template(template).substitute(cohort=pattern, window=window))


def slope_query(promql: str, gate: Gate) -> str:
    """Return PromQL for the change per hour of ``promql`` over the window (least squares)."""
    window = format_duration(gate.window)
    return f"3600 * deriv(({promql})[{window}:])"
