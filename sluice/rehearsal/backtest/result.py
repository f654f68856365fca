"""The result of a backtest: every verdict of each rule of the plan."""

from datetime import datetime, timedelta
from typing import Literal

from sluice.rollout.analysis.gate import Model, Severity
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.units import Duration

WEEK = timedelta(weeks=1)
REDUCING_SEVERITIES = (Severity.P0, Severity.P1)
"""The severities of red flags that reduce traffic; others are noted (guide: Escalation Path)."""


class VerdictInterval(Model):
    """A period with one outcome; ``reason`` is that of its first check."""

    outcome: Outcome
    begin: datetime
    end: datetime
    evaluations: int
    reason: str


class Alarm(Model):
    """A period in which a red flag fires or a gate fails."""

    begin: datetime
    end: datetime
    reason: str


class RuleReplay(Model):
    """The replay of one rule. Its checks are successful, failed, inconclusive or without data.

    ``inconclusive``: too few samples, or too little evidence. ``no_data`` counts readings, regardless of
    the rule's policy. ``note`` is the reason for a missing replay or missing data.
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
        """Return True when it would have paused the rollout or reduced traffic."""
        return self.kind == "red flag" and self.severity in REDUCING_SEVERITIES and not self.dry_run

    def alarms_per_week(self, weeks: float) -> float:
        return len(self.alarms) / weeks


class BacktestResult(Model):
    """The replays of all rules of a plan from ``begin`` to ``end``, and their baselines."""

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
        """Return the first and last time with data of any rule, or None."""
        spans = [(r.data_from, r.data_to) for r in self.rules if r.data_from and r.data_to]
        known = [(begin, end) for begin, end in spans if begin and end]
        return (min(b for b, _ in known), max(e for _, e in known)) if known else None

    @property
    def alarms(self) -> tuple[tuple[RuleReplay, Alarm], ...]:
        """Return the alarms of red flags that would have acted, oldest first."""
        rule_alarms = [
            (rule, alarm) for rule in self.rules if rule.can_reduce_traffic for alarm in rule.alarms
        ]
        return tuple(sorted(rule_alarms, key=lambda rule_alarm: rule_alarm[1].begin))

    @property
    def alarms_per_week(self) -> float:
        return len(self.alarms) / self.weeks
