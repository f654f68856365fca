"""The plan of a rollout: metrics, and the steps of the guide's five stages in order."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from sluice.rollout.analysis.gate import Gate, Metric, Model
from sluice.rollout.analysis.reading import STALE_AFTER
from sluice.rollout.plan.approval_policy import ApprovalPolicy
from sluice.rollout.plan.checklist import ChecklistItem, ChecklistSchedule
from sluice.rollout.plan.freeze_windows import Freeze
from sluice.rollout.plan.notification import NoticeRoute
from sluice.rollout.plan.rollback_policy import RollbackPolicy
from sluice.rollout.units import Duration, Threshold, parse_duration
from sluice.rollout.yaml_document import Location

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100)]


class PhaseSwitches(Model):
    """Phase 4's two switches in the router (guide: Configuration of each stage)."""

    enable_feature_flags: bool
    enable_online_learning: bool


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Step(Model):
    """One step: what is switched on, how long it is watched, and what it must show.

    ``gates`` are the success criteria: from ``hold`` on the step is left as soon as every check
    was Successful for ``stable_for``. If that has not happened by ``deadline``, a Failed check
    rolls back to the step named ``rollback_to`` and anything less certain pauses for a person, who
    may also choose one of ``rollback_choices`` to step back to (guide: "Rollback to 5% or 0%").
    ``phases``, ``percentage`` and ``whitelist`` stay as they are where they are not given.
    ``red_flags`` are evaluated every few seconds all along and act at once, by their severity.
    It starts once its ``checklist`` is complete and its ``approval`` given, outside of freezes.
    """

    name: Name
    title: str
    stage: int = Field(ge=1, le=5)
    guide: str = ""
    audience: str = ""
    phases: PhaseSwitches | None = None
    percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    whitelist: Annotated[tuple[str, ...] | None, BeforeValidator(_list_to_tuple)] = None
    initial_delay: Duration = parse_duration("0s")
    interval: Duration
    hold: Duration
    stable_for: Duration = parse_duration("0s")
    deadline: Duration
    gates: Annotated[tuple[Gate, ...], BeforeValidator(_list_to_tuple)] = ()
    red_flags: Annotated[tuple[Gate, ...], BeforeValidator(_list_to_tuple)] = ()
    rollback_to: str | None = None
    rollback_choices: Annotated[tuple[str, ...], BeforeValidator(_list_to_tuple)] = ()
    checklist: Annotated[tuple[ChecklistItem, ...], BeforeValidator(_list_to_tuple)] = ()
    approval: ApprovalPolicy | None = None
    record_baseline: bool = False
    delete_flag: bool = False

    @model_validator(mode="after")
    def _require_decidable(self) -> Self:
        if self.interval.total_seconds() < 1:
            raise ValueError("interval must be at least 1s")
        if self.deadline < self.hold:
            raise ValueError("deadline must not be shorter than hold")
        if self.initial_delay > self.hold:
            raise ValueError("initial_delay must not be longer than hold")
        if all(gate.dry_run for gate in self.gates):
            raise ValueError(
                "gates must hold at least one gate without dry_run: with none, "
                "nothing could ever be Successful"
            )
        return self


class EscalationPolicy(Model):
    """How long a person has before the product acts (guide: Severity Levels).

    A rollback that isn't confirmed within ``rollback_pages_after`` is a page.
    """

    p1_rolls_back_after: Duration = parse_duration("4h")
    p2_reminds_after: Duration = parse_duration("24h")
    rollback_pages_after: Duration = parse_duration("1m")


class ExpectedTraffic(Model):
    """The traffic that ``sluice lint`` reckons with.

    ``feedback_share``: of queries that are rated. ``users``: from how many the queries come, for
    gates that count users; None reckons as if each query came from another one.
    """

    queries_per_day: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    error_rate: Annotated[Threshold, Field(gt=0, lt=0.5)] = 0.005
    feedback_share: Annotated[Threshold, Field(gt=0, le=1)] = 0.2
    users: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None


class RehearsalBudget(Model):
    """What a rehearsal of the plan may show at most; ``sluice rehearse --check`` compares.

    ``false_rollback_max``: share of healthy rollouts that are rolled back. ``detection_delay_max``:
    by scenario, the time from the fault to the moment at which traffic was taken away.
    """

    false_rollback_max: Annotated[Threshold, Field(ge=0, le=1)] | None = None
    detection_delay_max: dict[str, Duration] = Field(default_factory=dict)


class RolloutPlan(Model):
    """A whole rollout. Validated here; ``sluice.rollout.plan.loader`` adds line numbers to its mistakes.

    ``alpha``: the chance that any statistical gate fails without cause, over the whole rollout.
    ``stale_after``: readings whose newest sample is older are no data.
    """

    name: Name
    flag: Name
    description: str = ""
    environment: str = Field(default="default", pattern=r"^[A-Za-z0-9_.-]+$")
    watch_interval: Duration = parse_duration("5s")
    alpha: Annotated[Threshold, Field(gt=0, lt=0.5)] = 0.05
    stale_after: Duration = STALE_AFTER
    traffic: ExpectedTraffic | None = None
    escalation: EscalationPolicy = EscalationPolicy()
    freezes: Annotated[tuple[Freeze, ...], BeforeValidator(_list_to_tuple)] = ()
    checklists: ChecklistSchedule = ChecklistSchedule()
    rollbacks: RollbackPolicy = RollbackPolicy()
    notify: Annotated[tuple[NoticeRoute, ...], BeforeValidator(_list_to_tuple)] = ()
    metrics: dict[str, Metric]
    baselines: Annotated[tuple[Gate, ...], BeforeValidator(_list_to_tuple)] = ()
    steps: Annotated[tuple[Step, ...], BeforeValidator(_list_to_tuple)]
    report_directory: str = "docs/deployments"
    budget: RehearsalBudget | None = None

    def step(self, name: str) -> Step:
        """The step called ``name``; KeyError when there is none."""
        return self.steps[self.index(name)]

    def index(self, name: str) -> int:
        for index, step in enumerate(self.steps):
            if step.name == name:
                return index
        raise KeyError(name)

    def rules(self) -> Iterator[tuple[Location, Gate]]:
        """Every gate, red flag and checklist's gate with its place in the plan."""
        for s, step in enumerate(self.steps):
            for i, item in enumerate(step.checklist):
                if item.gate is not None:
                    yield ("steps", s, "checklist", i, "gate"), item.gate
            for kind in ("gates", "red_flags"):
                for g, gate in enumerate(getattr(step, kind)):
                    yield ("steps", s, kind, g), gate
