"""Users of both cohorts from Prometheus, by step, by process and by the hour first seen."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import httpx

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


def fetch_splits(
    context: Context, metric: Metric, exposures: Sequence[SharedSpan]
) -> list[CohortSplit]:
    """Read the users of each exposure, and of the last one by process and by hour.

    Raises:
        CliError: UNREACHABLE, when Prometheus does not answer as Prometheus does.
    """
    credentials, url = context.prometheus_credentials(), context.prometheus_url
    verify = credentials.ssl_context() if url.startswith("https") else True
    try:
        with httpx.Client(
            base_url=url, headers=credentials.headers, verify=verify, timeout=SECONDS_MAX
        ) as http:
            return list(_splits(_UserCounts(http, metric), exposures))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        address = without_password(url)
        problem = without_password(str(error)) or type(error).__name__
        raise CliError(
            f"Prometheus at {address} gives no users: {problem}. Check PROMETHEUS_URL.",
            Exit.UNREACHABLE,
        ) from error


def _splits(counts: "_UserCounts", exposures: Sequence[SharedSpan]) -> Iterator[CohortSplit]:
    for exposure in exposures:
        yield from counts.compare("step", exposure, exposure.step)
    live = exposures[-1]
    yield from counts.compare("process", live)
    hours = min((live.until - live.since) // HOUR, HOURS_MAX)
    for number in range(hours, 0, -1):
        until = live.until - (number - 1) * HOUR
        hour = live.model_copy(update={"since": until - HOUR, "until": until})
        yield from counts.compare("hour", hour, f"{hour.since.astimezone(UTC):%m-%d %H:%M}")


class _UserCounts:
    """Users seen for the first time, as one metric counts them."""

    def __init__(self, http: httpx.Client, metric: Metric) -> None:
        self._http, self._metric = http, metric

    def compare(self, by: str, exposure: SharedSpan, name: str = "") -> Iterator[CohortSplit]:
        """Yield the users of both cohorts in this time; without a name, for each process."""
        treatment, control = (
            self._read(cohort, exposure, by_process=not name) for cohort in ("treatment", "control")
        )
        for process in sorted(treatment.keys() | control.keys()):
            yield CohortSplit.model_validate(
                {
                    "by": by,
                    "name": name or process,
                    "share": exposure.share,
                    "treatment": treatment.get(process, 0.0),
                    "control": control.get(process, 0.0),
                }
            )

    def _read(self, cohort: Cohort, exposure: SharedSpan, *, by_process: bool) -> Vector:
        statistic = self._metric.statistic
        assert statistic is not None  # noqa: S101  the caller chose a metric with one
        selector = render_selector(
            statistic.counters()["users"], self._metric.cohorts.pattern(cohort)
        )
        seconds = max(1, int((exposure.until - exposure.since).total_seconds()))
        span = format_duration(timedelta(seconds=seconds))
        grouping = "by (instance) " if by_process else ""
        return self._query(f"sum {grouping}(increase({selector}[{span}]))", exposure.until)

    def _query(self, promql: str, at: datetime) -> Vector:
        answer = self._http.post(
            "/api/v1/query", data={"query": promql, "time": f"{at.timestamp():.3f}"}
        )
        answer.raise_for_status()
        rows = answer.json()["data"]["result"]
        return {row["metric"].get("instance", ""): float(row["value"][1]) for row in rows}
