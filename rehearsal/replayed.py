"""What a backtest found: for each rule of the plan, every verdict that would have been given."""

from datetime import datetime, timedelta
from typing import Literal

from rollout.gate import Model, Severity
from rollout.quantity import Duration
from rollout.reading import Reading
from rollout.verdict import Outcome

WEEK = timedelta(weeks=1)
ACTS = (Severity.P0, Severity.P1)
"""Red flags that take traffic away; the others are only noted (guide: Escalation Path)."""


class Verdicts(Model):
    """One verdict for as long as its outcome stayed the same: ``because`` is the first look's."""

    outcome: Outcome
    begins: datetime
    ends: datetime
    looks: int
    because: str


class Alarm(Model):
    """A red flag fires (a gate fails) from ``begins`` until it no longer does."""

    begins: datetime
    ends: datetime
    because: str


class Replayed(Model):
    """One rule in all steps that have it. ``looks`` = successful + failed + unsure + no_data.

    ``unsure``: too few samples, or evidence that isn't enough. ``no_data`` counts by the reading,
    whatever the rule makes of it. ``note`` says why it could not be replayed, or what it missed.
    """

    gate: str
    kind: Literal["gate", "red flag"]
    steps: tuple[str, ...]
    severity: Severity
    dry_run: bool = False
    every: Duration
    looks: int = 0
    successful: int = 0
    failed: int = 0
    unsure: int = 0
    no_data: int = 0
    alarms: tuple[Alarm, ...] = ()
    verdicts: tuple[Verdicts, ...] = ()
    data_from: datetime | None = None
    data_to: datetime | None = None
    note: str = ""

    @property
    def judged(self) -> int:
        return self.successful + self.failed

    @property
    def never_had_data(self) -> bool:
        return self.looks > 0 and self.no_data == self.looks

    @property
    def acts(self) -> bool:
        """Whether it would have paused the rollout or taken traffic away."""
        return self.kind == "red flag" and self.severity in ACTS and not self.dry_run

    def alarms_a_week(self, weeks: float) -> float:
        return len(self.alarms) / weeks


class Backtest(Model):
    """All rules of a plan from ``begin`` to ``end``; ``baseline`` is what they were compared with."""

    plan: str
    source: str
    treatment: str
    begin: datetime
    end: datetime
    baseline: dict[str, Reading]
    rules: tuple[Replayed, ...]

    @property
    def weeks(self) -> float:
        return (self.end - self.begin) / WEEK

    @property
    def never_had_data(self) -> tuple[Replayed, ...]:
        return tuple(rule for rule in self.rules if rule.never_had_data)

    @property
    def data(self) -> tuple[datetime, datetime] | None:
        """When there was data of any rule, first and last; None: never."""
        spans = [(r.data_from, r.data_to) for r in self.rules if r.data_from and r.data_to]
        known = [(begin, end) for begin, end in spans if begin and end]
        return (min(b for b, _ in known), max(e for _, e in known)) if known else None

    @property
    def alarms(self) -> tuple[tuple[Replayed, Alarm], ...]:
        """Each time a red flag would have acted, oldest first."""
        found = [(rule, alarm) for rule in self.rules if rule.acts for alarm in rule.alarms]
        return tuple(sorted(found, key=lambda one: one[1].begins))

    @property
    def alarms_a_week(self) -> float:
        return len(self.alarms) / self.weeks
