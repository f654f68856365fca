"""The plan of a rollout: metrics, and the steps of the guide's five stages in order."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from sluice.rollout.analysis.cohorts import ROUTER_COHORTS, CohortMapping
from sluice.rollout.analysis.gate import Gate, Metric, Severity
from sluice.rollout.analysis.reading import STALE_AFTER
from sluice.rollout.model import Model, TupleOf
from sluice.rollout.plan.approval_policy import ApprovalPolicy
from sluice.rollout.plan.checklist import ChecklistItem, ChecklistSchedule
from sluice.rollout.plan.flag_values import Percentage, Users
from sluice.rollout.plan.freeze_windows import Freeze
from sluice.rollout.plan.notification import NoticeRoute
from sluice.rollout.plan.related_rollouts import AnyRequiredRollout, FlagName, rollout_key
from sluice.rollout.plan.rollback_policy import RollbackPolicy
from sluice.rollout.printable import PrintableLine, Title
from sluice.rollout.units import Duration, Number, Share, Whole, format_duration, parse_duration
from sluice.rollout.yaml_nodes import Location

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100)]


def _require_relative_folder(text: str) -> str:
    if text.startswith(("/", "~")) or ".." in text.split("/"):
        raise ValueError(
            "expected a folder below the worker's SLUICE_REPORT_ROOT, such as docs/deployments, "
            "without .. and a leading / or ~"
        )
    return text


RelativeFolder = Annotated[
    str, Field(min_length=1, max_length=500), AfterValidator(_require_relative_folder)
]
"""A folder below the worker's SLUICE_REPORT_ROOT."""
WATCH_INTERVAL_MIN, WATCH_INTERVAL_MAX = parse_duration("1s"), parse_duration("5m")
STALE_AFTER_MIN = parse_duration("1s")
BLIND_AFTER_MAX = parse_duration("30m")
BLIND_INTERVALS = 3
"""Watch intervals without a verdict, after the readings are stale, that make a red flag blind."""


class PhaseSwitches(Model):
    """Phase 4's two switches in the router (guide: Configuration of each stage)."""

    enable_feature_flags: bool
    enable_online_learning: bool


class Step(Model):
    """One step: its settings, how long it is watched, and its criteria.

    ``gates`` are the success criteria. From ``hold`` on, the step ends as soon as every check
    was Successful for ``stable_for``. At ``deadline`` a Failed check rolls back to the step named
    ``rollback_to``, and anything less certain pauses for a person, who may also choose one of
    ``rollback_choices`` (guide: "Rollback to 5% or 0%"). ``phases``, ``percentage`` and
    ``whitelist`` stay as they are where they are not given. ``red_flags`` are evaluated every few
    seconds throughout the step and act at once, by their severity. The step starts once its
    ``checklist`` is complete and its ``approval`` given, outside of freezes.
    """

    name: Name
    title: Title
    stage: Annotated[Whole, Field(ge=1, le=5)] | None = None
    guide: str = ""
    audience: PrintableLine = ""
    phases: PhaseSwitches | None = None
    percentage: Percentage | None = None
    whitelist: Users = None
    initial_delay: Duration = parse_duration("0s")
    interval: Duration
    hold: Duration
    stable_for: Duration = parse_duration("0s")
    deadline: Duration
    gates: TupleOf[Gate] = ()
    red_flags: TupleOf[Gate] = ()
    rollback_to: str | None = None
    rollback_choices: TupleOf[str] = ()
    checklist: TupleOf[ChecklistItem] = ()
    approval: ApprovalPolicy | None = None
    record_baseline: bool = False
    delete_flag: bool = False

    @property
    def heading(self) -> str:
        """The title, behind the guide's stage where the plan names one."""
        return self.title if self.stage is None else f"Stage {self.stage}: {self.title}"

    @model_validator(mode="after")
    def _require_decidable(self) -> Self:
        if self.interval.total_seconds() < 1:
            raise ValueError("interval must be at least 1s")
        if self.deadline < self.hold:
            raise ValueError("deadline must not be shorter than hold")
        if self.stable_for > self.deadline:
            raise ValueError("stable_for must not be longer than deadline")
        if self.interval > self.deadline:
            raise ValueError("interval must not be longer than deadline: no check would come")
        if self.initial_delay > self.hold:
            raise ValueError("initial_delay must not be longer than hold")
        if all(gate.dry_run for gate in self.gates):
            raise ValueError(
                "gates must hold at least one gate without dry_run: with none, "
                "nothing could ever be Successful"
            )
        return self


class EscalationPolicy(Model):
    """The time that a person has before the product acts (guide: Severity Levels).

    A rollback that isn't confirmed within ``rollback_pages_after`` is a page.
    """

    p1_rolls_back_after: Duration = parse_duration("4h")
    p2_reminds_after: Duration = parse_duration("24h")
    rollback_pages_after: Duration = parse_duration("1m")


class ExpectedTraffic(Model):
    """The traffic from which ``sluice lint`` computes.

    ``feedback_share``: of queries that are rated. ``users``: from how many the queries come, for
    gates that count users; None counts each query as another user's.
    """

    queries_per_day: Annotated[Number, Field(gt=0, allow_inf_nan=False)]
    error_rate: Annotated[Share, Field(gt=0, lt=0.5)] = 0.005
    feedback_share: Annotated[Share, Field(gt=0, le=1)] = 0.2
    users: Annotated[Number, Field(ge=1, allow_inf_nan=False)] | None = None


class RehearsalBudget(Model):
    """The most that a rehearsal of the plan may show; ``sluice rehearse --check`` compares.

    ``false_rollback_max``: share of healthy rollouts that are rolled back. ``detection_delay_max``:
    by scenario, the time from the fault to the moment at which traffic was taken away.
    """

    false_rollback_max: Annotated[Share, Field(ge=0, le=1)] | None = None
    detection_delay_max: dict[str, Duration] = Field(default_factory=dict)


def _with_cohorts(metric: object, cohorts: CohortMapping) -> object:
    """Return the metric as written, with the plan's cohorts unless it has its own."""
    if isinstance(metric, dict):
        return {"cohorts": cohorts, **metric}
    if isinstance(metric, Metric) and "cohorts" not in metric.model_fields_set:
        return metric.model_copy(update={"cohorts": cohorts})
    return metric


class RolloutPlan(Model):
    """A whole rollout. ``sluice.rollout.plan.loader`` adds line numbers to its problems.

    ``alpha``: the chance that any statistical gate fails without cause, over the whole rollout.
    ``stale_after``: readings whose newest sample is older count as no data. ``blind_after``: a red flag
    without any verdict for so long is a finding of ``blind_severity`` (None: see ``blind_limit``).
    ``excludes``: flags of which none may treat a part of the users while this one is raised.
    ``after``: rollouts that must have ended Healthy before. ``cohorts``: the label of the cohorts in the metrics, for each metric without its own.
    """

    name: Name
    flag: Name
    description: str = ""
    environment: str = Field(default="default", pattern=r"^[A-Za-z0-9_.-]+$")
    watch_interval: Duration = parse_duration("2s")
    alpha: Annotated[Share, Field(gt=0, lt=0.5)] = 0.05
    stale_after: Duration = STALE_AFTER
    blind_after: Duration | None = None
    blind_severity: Severity = Severity.P1
    traffic: ExpectedTraffic | None = None
    escalation: EscalationPolicy = EscalationPolicy()
    freezes: TupleOf[Freeze] = ()
    checklists: ChecklistSchedule = ChecklistSchedule()
    rollbacks: RollbackPolicy = RollbackPolicy()
    notify: TupleOf[NoticeRoute] = ()
    excludes: TupleOf[FlagName] = ()
    after: TupleOf[AnyRequiredRollout] = ()
    cohorts: CohortMapping = ROUTER_COHORTS
    metrics: dict[str, Metric]
    baselines: TupleOf[Gate] = ()
    steps: TupleOf[Step]
    report_directory: RelativeFolder = "docs/deployments"
    budget: RehearsalBudget | None = None

    @model_validator(mode="before")
    @classmethod
    def _pass_cohorts_to_metrics(cls, data: object) -> object:
        if not isinstance(data, dict) or not isinstance(data.get("metrics"), dict):
            return data
        try:
            cohorts = CohortMapping.model_validate(data["cohorts"])
        except (KeyError, ValidationError):  # a broken one is reported at its own place
            return data
        metrics = {name: _with_cohorts(metric, cohorts) for name, metric in data["metrics"].items()}
        return {**data, "metrics": metrics}

    @model_validator(mode="after")
    def _require_sight(self) -> Self:
        if not WATCH_INTERVAL_MIN <= self.watch_interval <= WATCH_INTERVAL_MAX:
            raise ValueError("watch_interval must be from 1s to 5m: red flags are for emergencies")
        if self.stale_after < STALE_AFTER_MIN:
            raise ValueError(
                "stale_after must be at least 1s, and longer than a scrape interval: "
                "with less, every reading is too old and no red flag can fire"
            )
        if not self.watch_interval <= self.blind_limit <= BLIND_AFTER_MAX:
            raise ValueError(
                "blind_after (3 × watch_interval + stale_after unless given) must be from one "
                f"watch_interval, {format_duration(self.watch_interval)}, "
                f"to {format_duration(BLIND_AFTER_MAX)}"
            )
        return self

    @property
    def blind_limit(self) -> timedelta:
        """Time without a verdict that makes a red flag blind."""
        if self.blind_after is not None:
            return self.blind_after
        return BLIND_INTERVALS * self.watch_interval + self.stale_after

    def checklist_of(self, step: Step) -> tuple[ChecklistItem, ...]:
        """Return the step's checklist; for a step that exposes users, also ``excludes`` and ``after``."""
        if not step.percentage:
            return step.checklist
        required = tuple(
            rollout_key(prerequisite.flag, prerequisite.environment or self.environment)
            for prerequisite in self.after
        )
        related = {
            "excludes": ("No excluded rollout treats a part of the users", self.excludes),
            "after": ("The rollouts that come before ended Healthy", required),
        }
        items = (
            ChecklistItem.model_validate(
                {"name": f"{step.name}.{check}", "title": title, "check": check, "names": names}
            )
            for check, (title, names) in related.items()
            if names
        )
        return (*step.checklist, *items)

    @property
    def sets_phases(self) -> bool:
        """True when some step sets the router's phases."""
        return any(step.phases is not None for step in self.steps)

    def step(self, name: str) -> Step:
        """Return the step called ``name``.

        Raises:
            KeyError: the plan has no such step.
        """
        return self.steps[self.index(name)]

    def index(self, name: str) -> int:
        """Return the position of the step called ``name``; KeyError as in ``step``."""
        for index, step in enumerate(self.steps):
            if step.name == name:
                return index
        raise KeyError(name)

    def exposures(self) -> Iterator[tuple[Step, float]]:
        """Yield each step with the percentage of users who have the treatment while it is live."""
        percentage = 0.0
        for step in self.steps:
            if step.percentage is not None:
                percentage = step.percentage
            if step.delete_flag:
                percentage = 100.0
            yield step, percentage

    def rules(self) -> Iterator[tuple[Location, Gate]]:
        """Yield every gate, red flag and checklist's gate with its place in the plan."""
        for s, step in enumerate(self.steps):
            for i, item in enumerate(step.checklist):
                if item.gate is not None:
                    yield ("steps", s, "checklist", i, "gate"), item.gate
            for kind in ("gates", "red_flags"):
                for g, gate in enumerate(getattr(step, kind)):
                    yield ("steps", s, kind, g), gate
