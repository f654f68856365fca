"""Users of both cohorts from Prometheus, by step, by process and by the hour first seen."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, timedelta

import httpx

from sluice.cli.clients.prometheus import (
    PrometheusUnreachableError,
    open_prometheus,
    query_prometheus,
)
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import without_password
from sluice.rollout.analysis.blocks import render_selector
from sluice.rollout.analysis.cohorts import Cohort
from sluice.rollout.analysis.gate import Metric
from sluice.rollout.review.cohort_split import CohortSplit, SharedSpan
from sluice.rollout.units import format_duration

HOURS_MAX = 48
"""The newest hours; older ones are in the step's own part."""
HOUR = timedelta(hours=1)
SECONDS_MAX = 20.0
Vector = dict[str, float]


async def fetch_splits(
    context: Context, metric: Metric, spans: Sequence[SharedSpan]
) -> list[CohortSplit]:
    """Read the users of each span, and of the last one by process and by hour.

    Raises:
        CliError: UNREACHABLE, when Prometheus does not answer as Prometheus does.
    """
    try:
        async with open_prometheus(context, SECONDS_MAX) as http:
            return [split async for split in _splits(_UserCounts(http, metric), spans)]
    except (PrometheusUnreachableError, ValueError, KeyError, TypeError) as error:
        address = without_password(context.prometheus_url)
        problem = without_password(str(error)) or type(error).__name__
        raise CliError(
            f"Prometheus at {address} gives no users: {problem}. Check PROMETHEUS_URL.",
            Exit.UNREACHABLE,
        ) from error


async def _splits(counts: "_UserCounts", spans: Sequence[SharedSpan]) -> AsyncIterator[CohortSplit]:
    for span in spans:
        for split in await counts.compare("step", span, span.step):
            yield split
    live = spans[-1]
    for split in await counts.compare("process", live):
        yield split
    hours = min((live.until - live.since) // HOUR, HOURS_MAX)
    for number in range(hours, 0, -1):
        until = live.until - (number - 1) * HOUR
        hour = live.model_copy(update={"since": until - HOUR, "until": until})
        for split in await counts.compare(
            "hour", hour, f"{hour.since.astimezone(UTC):%m-%d %H:%M}"
        ):
            yield split


class _UserCounts:
    """Users seen for the first time, as one metric counts them."""

    def __init__(self, http: httpx.AsyncClient, metric: Metric) -> None:
        self._http, self._metric = http, metric

    async def compare(self, by: str, span: SharedSpan, name: str = "") -> list[CohortSplit]:
        """Return the users of both cohorts in this time; without a name, for each process."""
        treatment, control = [
            await self._read(cohort, span, by_process=not name)
            for cohort in ("treatment", "control")
        ]
        return [
            CohortSplit.model_validate(
                {
                    "by": by,
                    "name": name or process,
                    "share": span.share,
                    "treatment": treatment.get(process, 0.0),
                    "control": control.get(process, 0.0),
                }
            )
            for process in sorted(treatment.keys() | control.keys())
        ]

    async def _read(self, cohort: Cohort, span: SharedSpan, *, by_process: bool) -> Vector:
        statistic = self._metric.statistic
        assert statistic is not None  # noqa: S101  the caller chose a metric with one
        selector = render_selector(
            statistic.counters()["users"], self._metric.cohorts.pattern(cohort)
        )
        seconds = max(1, int((span.until - span.since).total_seconds()))
        window = format_duration(timedelta(seconds=seconds))
        grouping = "by (instance) " if by_process else ""
        promql = f"sum {grouping}(increase({selector}[{window}]))"
        rows = await query_prometheus(self._http, promql, time=f"{span.until.timestamp():.3f}")
        return {row["metric"].get("instance", ""): float(row["value"][1]) for row in rows}
