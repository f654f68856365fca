"""What a team's own Prometheus has recorded: columns of readings, as gates would have had them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from rehearsal.arrays import Floats
from rehearsal.judging import Column
from rehearsal.ranges import Ranges
from rollout.gate import COHORT_PATTERN, Cohort, Gate, GateKind, Metric, expression, slope
from rollout.plan import RolloutPlan
from rollout.promql import fresh, names
from rollout.reading import Reading

COHORT_LABEL = "cohort"


@dataclass
class Recorded:
    """The recorded time of one backtest. Each expression is asked for once.

    ``treatment`` is the cohort whose series stand for the treatment's.
    """

    plan: RolloutPlan
    ranges: Ranges
    begin: datetime
    end: datetime
    treatment: Cohort = "treatment"
    _known: dict[tuple[str, timedelta], Floats] = field(default_factory=dict)
    _span: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self._span = {"start": self.begin.timestamp(), "end": self.end.timestamp()}

    def looks(self, every: timedelta) -> int:
        """How often one looks from ``begin`` on, up to ``end``."""
        return int((self.end - self.begin) / every) + 1

    def column(self, gate: Gate, cohort: Cohort, every: timedelta) -> Column:
        """Readings of one gate for a cohort; what is stale is no data.

        Raises:
            PrometheusFailedError: it doesn't answer, or refuses a query.
        """
        metric, cohort = self.plan.metrics[gate.metric], self._stands_for(cohort)
        promql = expression(metric.query, gate, cohort)
        values = self._read(slope(promql, gate) if gate.kind is GateKind.TREND else promql, every)
        if asked := fresh(promql, self.plan.stale_after):
            values = np.where(self._read(asked, every) == 1, values, np.nan)
        if metric.samples is None:
            return Column(values)
        # No series that counts samples means that nothing was counted, as in activities.sampling.
        samples = self._read(expression(metric.samples, gate, cohort), every)
        return Column(values, np.nan_to_num(samples))

    def read_all(
        self, promqls: Sequence[str], ends: Sequence[datetime], every: timedelta
    ) -> list[Floats]:
        """Columns at other times, which lie ``every`` apart."""
        times = np.array([end.timestamp() for end in ends])
        return self.ranges.read_all(promqls, times, every.total_seconds())

    def why_nothing(self, gate: Gate, cohort: Cohort) -> str:
        """Say which series a gate without any data misses."""
        metric, wanted = self.plan.metrics[gate.metric], COHORT_PATTERN[self._stands_for(cohort)]
        for name, labels in _series(metric, gate, self._stands_for(cohort)):
            found = self.ranges.about("series", **{"match[]": name, **self._span}) or []
            if not found:
                return f"no series {name} was recorded"
            cohorts = sorted({one[COHORT_LABEL] for one in found if COHORT_LABEL in one})
            if COHORT_LABEL in labels and wanted not in (*cohorts, ".+"):
                has = f"only of {', '.join(cohorts)}" if cohorts else "without a cohort label"
                return f"{name} was recorded {has}, not of {wanted}"
            if COHORT_LABEL in labels and not cohorts:
                return f"{name} was recorded without a cohort label"
        return "its series were recorded, but the query gave no value over them"

    def anything(self) -> bool:
        """Whether any series was recorded in this time."""
        return bool(self.ranges.about("label/__name__/values", **self._span))

    def reading(
        self, gate: Gate, cohort: Cohort, column: Column, at: tuple[int, datetime]
    ) -> Reading:
        """One reading of a column, as a check would have had it."""
        number, when = at
        value = float(column.values[number])
        samples = None if column.samples is None else float(column.samples[number])
        usable = None if np.isnan(value) else value
        return Reading(metric=gate.metric, cohort=cohort, at=when, value=usable, samples=samples)

    def _stands_for(self, cohort: Cohort) -> Cohort:
        return self.treatment if cohort == "treatment" else cohort

    def _read(self, promql: str, every: timedelta) -> Floats:
        if (promql, every) not in self._known:
            step = every.total_seconds()
            times = self.begin.timestamp() + step * np.arange(self.looks(every))
            self._known[promql, every] = self.ranges.read(promql, times, step)
        return self._known[promql, every]


def _series(metric: Metric, gate: Gate, cohort: Cohort) -> Iterator[tuple[str, frozenset[str]]]:
    """Names of the series behind a gate, with the labels that are asked for."""
    for selector in names(expression(metric.query, gate, cohort)).selectors:
        yield selector.metric, selector.labels
