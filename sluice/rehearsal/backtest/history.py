"""The recorded metrics of a team's own Prometheus, as columns of gate readings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from sluice.rehearsal.arrays import Floats
from sluice.rehearsal.lookahead.vectorized_judge import SampleColumn
from sluice.rehearsal.prometheus.range_query import PrometheusClient
from sluice.rollout.analysis.cohorts import EVERY_VALUE, Cohort
from sluice.rollout.analysis.gate import Gate, GateKind, Metric, slope_query
from sluice.rollout.analysis.promql import freshness_query, parse_selectors
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.plan.schema import RolloutPlan


@dataclass
class PrometheusHistory:
    """The recorded time of one backtest. Each expression is queried once.

    ``treatment`` is the cohort that is read as the treatment.
    """

    plan: RolloutPlan
    client: PrometheusClient
    begin: datetime
    end: datetime
    treatment: Cohort = "treatment"
    _columns: dict[tuple[str, timedelta], Floats] = field(default_factory=dict)
    _span: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self._span = {"start": self.begin.timestamp(), "end": self.end.timestamp()}

    def evaluation_count(self, interval: timedelta) -> int:
        """Return the number of evaluations from ``begin`` to ``end``."""
        return int((self.end - self.begin) / interval) + 1

    def gate_column(self, gate: Gate, cohort: Cohort, interval: timedelta) -> SampleColumn:
        """Return the readings of one gate for a cohort; stale samples count as missing.

        Raises:
            PrometheusFailedError: it does not answer, or refuses a query.
        """
        metric, cohort = self.plan.metrics[gate.metric], self._recorded_cohort(cohort)
        promql = metric.value_query(gate, cohort)
        values = self._read(
            slope_query(promql, gate) if gate.kind is GateKind.TREND else promql, interval
        )
        if freshness_promql := freshness_query(promql, self.plan.stale_after):
            values = np.where(self._read(freshness_promql, interval) == 1, values, np.nan)
        counting = metric.samples_query(gate, cohort)
        if counting is None:
            return SampleColumn(values)
        # A missing series of sample counts means zero samples, as in activities.measuring.gate_evaluator.
        samples = self._read(counting, interval)
        return SampleColumn(values, np.nan_to_num(samples))

    def read_columns(
        self, promqls: Sequence[str], ends: Sequence[datetime], every: timedelta
    ) -> list[Floats]:
        """Read columns at times ``every`` apart."""
        times = np.array([end.timestamp() for end in ends])
        return self.client.read_columns(promqls, times, every.total_seconds())

    def explain_missing(self, gate: Gate, cohort: Cohort) -> str:
        """Return the series that a gate without data lacks."""
        metric = self.plan.metrics[gate.metric]
        label, cohort_value = (
            metric.cohorts.label,
            metric.cohorts.value(self._recorded_cohort(cohort)),
        )
        for name, labels in _selected_series(metric, gate, self._recorded_cohort(cohort)):
            series = self.client.get_metadata("series", **{"match[]": name, **self._span}) or []
            if not series:
                return f"the series {name} was not recorded"
            cohorts = sorted(
                {series_labels[label] for series_labels in series if label in series_labels}
            )
            if label in labels and cohort_value not in (*cohorts, EVERY_VALUE):
                has = f"only of {', '.join(cohorts)}" if cohorts else f"without the label {label!r}"
                return f"{name} was recorded {has}, not of {cohort_value}"
            if label in labels and not cohorts:
                return f"{name} was recorded without the label {label!r}"
        return "its series were recorded, but the query gave no value over them"

    def has_data(self) -> bool:
        """Return True when any series was recorded in this time."""
        return bool(self.client.get_metadata("label/__name__/values", **self._span))

    def reading(
        self, gate: Gate, cohort: Cohort, column: SampleColumn, at: tuple[int, datetime]
    ) -> Reading:
        """Return one reading of a column, as a check reads it."""
        number, when = at
        value = float(column.values[number])
        samples = None if column.samples is None else float(column.samples[number])
        usable = None if np.isnan(value) else value
        return Reading(metric=gate.metric, cohort=cohort, at=when, value=usable, samples=samples)

    def _recorded_cohort(self, cohort: Cohort) -> Cohort:
        return self.treatment if cohort == "treatment" else cohort

    def _read(self, promql: str, every: timedelta) -> Floats:
        if (promql, every) not in self._columns:
            step = every.total_seconds()
            times = self.begin.timestamp() + step * np.arange(self.evaluation_count(every))
            self._columns[promql, every] = self.client.read(promql, times, step)
        return self._columns[promql, every]


def _selected_series(
    metric: Metric, gate: Gate, cohort: Cohort
) -> Iterator[tuple[str, frozenset[str]]]:
    """Return the names of a gate's series, with the labels of its queries."""
    for selector in parse_selectors(metric.value_query(gate, cohort)).selectors:
        yield selector.metric, selector.labels
