"""What a backtest found: for each rule of the plan, every verdict that would have been given."""

from datetime import datetime, timedelta
from typing import Literal

from sluice.rollout.analysis.gate import Model, Severity
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.units import Duration

WEEK = timedelta(weeks=1)
REDUCING_SEVERITIES = (Severity.P0, Severity.P1)
"""Red flags that take traffic away; the others are only noted (guide: Escalation Path)."""


class VerdictInterval(Model):
    """One verdict for as long as its outcome stayed the same: ``because`` is the first look's."""

    outcome: Outcome
    begin: datetime
    end: datetime
    evaluations: int
    reason: str


class Alarm(Model):
    """A red flag fires (a gate fails) from ``begins`` until it no longer does."""

    begin: datetime
    end: datetime
    reason: str


class RuleReplay(Model):
    """One rule in all steps that have it. ``looks`` = successful + failed + unsure + no_data.

    ``unsure``: too few samples, or evidence that isn't enough. ``no_data`` counts by the reading,
    whatever the rule makes of it. ``note`` says why it could not be replayed, or what it missed.
    """

    gate: str
    kind: Literal["gate", "red flag"]
    steps: tuple[str, ...]
    severity: Severity
    dry_run: bool = False
    interval: Duration
    evaluations: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    no_data: int = 0
    alarms: tuple[Alarm, ...] = ()
    verdicts: tuple[VerdictInterval, ...] = ()
    data_from: datetime | None = None
    data_to: datetime | None = None
    note: str = ""

    @property
    def conclusive(self) -> int:
        return self.successful + self.failed

    @property
    def has_no_data(self) -> bool:
        return self.evaluations > 0 and self.no_data == self.evaluations

    @property
    def can_reduce_traffic(self) -> bool:
        """Whether it would have paused the rollout or taken traffic away."""
        return self.kind == "red flag" and self.severity in REDUCING_SEVERITIES and not self.dry_run

    def alarms_per_week(self, weeks: float) -> float:
        return len(self.alarms) / weeks


class BacktestResult(Model):
    """All rules of a plan from ``begin`` to ``end``; ``baseline`` is what they were compared with."""

    plan: str
    source: str
    treatment: str
    begin: datetime
    end: datetime
    baseline: dict[str, Reading]
    rules: tuple[RuleReplay, ...]

    @property
    def weeks(self) -> float:
        return (self.end - self.begin) / WEEK

    @property
    def rules_without_data(self) -> tuple[RuleReplay, ...]:
        return tuple(rule for rule in self.rules if rule.has_no_data)

    @property
    def data_span(self) -> tuple[datetime, datetime] | None:
        """When there was data of any rule, first and last; None: never."""
        spans = [(r.data_from, r.data_to) for r in self.rules if r.data_from and r.data_to]
        known = [(begin, end) for begin, end in spans if begin and end]
        return (min(b for b, _ in known), max(e for _, e in known)) if known else None

    @property
    def alarms(self) -> tuple[tuple[RuleReplay, Alarm], ...]:
        """Each time a red flag would have acted, oldest first."""
        found = [
            (rule, alarm) for rule in self.rules if rule.can_reduce_traffic for alarm in rule.alarms
        ]
        return tuple(sorted(found, key=lambda one: one[1].begin))

    @property
    def alarms_per_week(self) -> float:
        return len(self.alarms) / self.weeks
