"""A red flag that can't be evaluated is a finding itself: silence never counts as safety."""

import dataclasses
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.contract.errors import MetricsQueryError, MetricsUnreachableError
from activities.contract.models import WatchCheckpoint, WatchRequest
from activities.doubles.flags import MemoryFlags
from activities.doubles.metrics import MemoryMetrics
from activities.measuring.server_clock import ServerClock
from activities.watch import WatchActivities
from sluice.rollout.analysis.gate import Gate, Metric, Severity, render_query
from sluice.rollout.analysis.promql import sample_age_query
from sluice.rollout.engine.state import Finding
from sluice.rollout.plan.loader import load_plan
from tests.unit.activities.test_watch import AT, FLAG, WatchWorld

PHASE4 = Path(__file__).parents[3] / "plans" / "phase4.yaml"
INTERVAL = timedelta(seconds=5)
QUERY, SAMPLES = 'e{c=~"$cohort"}', 'n{c=~"$cohort"}'
SPIKE = Gate.model_validate(
    {"metric": "errors", "threshold": "5%", "window": "5m", "min_samples": 5}
)
TREATED = {
    "e": render_query(QUERY, SPIKE, "treatment"),
    "n": render_query(SAMPLES, SPIKE, "treatment"),
}


async def watch(
    source: MemoryMetrics, *gates: Gate, turns: int = 100, **fields: object
) -> Finding | None:
    """Return the first finding of so many turns, each ``INTERVAL`` after the one before."""
    tick = count()

    def clock() -> datetime:
        number = next(tick)
        if number > turns:
            raise TimeoutError
        return AT + number * INTERVAL

    request = WatchRequest.model_validate(
        {
            "rollout_id": "r",
            "step": "ramp",
            "environment": "default",
            "flag": FLAG,
            "percentage": None,
            "interval_seconds": 0.0001,
            "metrics": {"errors": Metric(query=QUERY, samples=SAMPLES, unit="ratio")},
            "red_flags": gates or (SPIKE,),
            "baseline": {},
            "blind_after": timedelta(seconds=30),
            **fields,
        }
    )
    activities = WatchActivities(source, MemoryFlags(), clock)
    try:
        return (await ActivityEnvironment().run(activities.watch, request)).finding
    except TimeoutError:
        return None


@pytest.mark.parametrize(
    "broken",
    [
        MetricsUnreachableError("connection refused"),
        MetricsQueryError("Prometheus refuses the query: unclosed parenthesis"),
        None,
    ],
    ids=["unreachable", "refused", "no data"],
)
async def test_a_red_flag_without_a_verdict_is_a_finding(
    broken: MetricsUnreachableError | MetricsQueryError | None,
) -> None:
    """Whatever the cause: after ``blind_after`` people hear of it, with the cause."""
    finding = await watch(MemoryMetrics({TREATED["e"]: broken}))
    assert finding is not None
    assert (finding.kind, finding.name) == ("blind", "blind")
    assert finding.seen_at - AT == timedelta(seconds=30)
    assert finding.verdict.severity is Severity.P1
    assert finding.verdict.reason.startswith(
        "red flags without a verdict for 30s: errors (errors: "
    )
    assert broken is None or str(broken) in finding.verdict.reason


async def test_the_plan_chooses_the_severity() -> None:
    finding = await watch(MemoryMetrics(), blind_severity="P0")
    assert finding is not None
    assert finding.verdict.severity is Severity.P0


async def test_stale_samples_are_blindness() -> None:
    """A frozen Prometheus, or a worker whose clock is 300 s ahead, answers with old samples."""
    metrics = MemoryMetrics({TREATED["e"]: 0.01, TREATED["n"]: 50})
    metrics.age_seconds = 300
    finding = await watch(metrics)
    assert finding is not None
    assert "its newest sample is 300 s old" in finding.verdict.reason


async def test_a_gap_shorter_than_the_limit_is_not_blindness() -> None:
    class Flaky(MemoryMetrics):
        def query(self, promql: str, at: datetime) -> float | None:
            number = round((at - AT) / INTERVAL)
            return None if promql == TREATED["e"] and number % 6 else super().query(promql, at)

    assert await watch(Flaky({TREATED["e"]: 0.01, TREATED["n"]: 50})) is None


async def test_a_cohort_without_any_traffic_is_not_blindness() -> None:
    """At night nobody asks: there is nobody to protect."""
    control = render_query(SAMPLES, SPIKE, "control")
    assert await watch(MemoryMetrics({TREATED["n"]: 0, control: 0}), percentage=None) is None


@pytest.mark.parametrize(("control", "vanished"), [(1000, True), (50, False)])
async def test_a_cohort_that_vanishes_beside_the_other_is_a_finding(
    control: float, vanished: bool
) -> None:
    """At 25 % about 333 samples are expected beside 1,000 of the control cohort."""
    metrics = MemoryMetrics({TREATED["n"]: 0, render_query(SAMPLES, SPIKE, "control"): control})
    finding = await watch(metrics, percentage=25.0, muted_findings=("flag_drift",))
    assert (finding is not None) is vanished
    if finding:
        assert "the treatment cohort has vanished: 0 of about 333" in finding.verdict.reason


class VanishingControl(MemoryMetrics):
    """Control's series end after the first turns, the treatment's go on; NaN counts as no data."""

    def query(self, promql: str, at: datetime) -> float | None:
        is_control = promql == render_query(SAMPLES, SPIKE, "control")
        return self.rest if is_control and at > AT + 2 * INTERVAL else super().query(promql, at)

    rest: float | None = None


@pytest.mark.parametrize("rest", [0.0, None], ids=["no traffic", "no series or NaN"])
@pytest.mark.parametrize(("treated", "vanished"), [(200, True), (9, False)])
async def test_a_control_cohort_that_vanishes_is_a_finding_although_no_red_flag_reads_it(
    treated: float, vanished: bool, rest: float | None
) -> None:
    """At 25 % about 600 samples of control are expected beside 200 of the treatment."""
    control = render_query(SAMPLES, SPIKE, "control")
    metrics = VanishingControl({TREATED["e"]: 0.01, TREATED["n"]: treated, control: 600})
    metrics.rest = rest
    finding = await watch(metrics, percentage=25.0, muted_findings=("flag_drift",))
    assert (finding is not None) is vanished
    if finding:
        assert (finding.kind, finding.verdict.severity) == ("blind", Severity.P1)
        assert "the control cohort has vanished for 30s: 0 of about 600" in finding.verdict.reason


async def test_a_metric_that_control_never_had_is_not_a_vanished_cohort() -> None:
    metrics = MemoryMetrics({TREATED["e"]: 0.01, TREATED["n"]: 2000})
    assert await watch(metrics, percentage=25.0, muted_findings=("flag_drift",)) is None


async def test_a_harmful_treatment_beside_a_vanished_control_fires_its_red_flag() -> None:
    control = render_query(SAMPLES, SPIKE, "control")
    metrics = VanishingControl({TREATED["e"]: 0.5, TREATED["n"]: 200, control: 600})
    finding = await watch(metrics, percentage=25.0, muted_findings=("flag_drift",))
    assert finding is not None
    assert finding.kind == "red_flag"


async def test_readings_from_before_the_share_went_live_are_not_read() -> None:
    """Right after a retry, the window would still hold the errors that were rolled back."""
    metrics = MemoryMetrics({TREATED["e"]: 0.5, TREATED["n"]: 50})
    windowed = Metric(query="rate(e[$window])", samples="n", unit="ratio")
    since = AT - timedelta(seconds=40)
    await watch(metrics, turns=2, metrics={"errors": windowed}, live_since=since)
    asked = {promql for promql, _ in metrics.queries if promql.startswith("rate(")}
    assert asked == {"rate(e[40s])", "rate(e[45s])", "rate(e[50s])"}


async def test_an_absent_series_fires() -> None:
    gate = SPIKE.model_copy(update={"min_samples": 0, "threshold": 0.5, "cohort": "all"})
    metric = Metric(query='absent(up{job="gone"})', unit="count")
    promql = render_query(metric.query, gate, "all")
    assert promql.endswith("or vector(0)")
    finding = await watch(MemoryMetrics({promql: 1.0}), gate, metrics={"errors": metric})
    assert finding is not None
    assert finding.kind == "red_flag"
    assert sample_age_query(promql) == (
        'time() - (max(timestamp(absent(up{job="gone"}))) or max(timestamp(up{job="gone"})))'
    )


def test_a_plan_is_blind_after_three_intervals_and_the_age_of_readings() -> None:
    plan = load_plan(PHASE4)
    assert (plan.watch_interval, plan.stale_after) == (INTERVAL, timedelta(minutes=2))
    assert plan.blind_limit == timedelta(seconds=135)


def test_time_comes_from_the_server_and_not_from_the_worker() -> None:
    """Only the seconds that pass are the worker's own."""
    seconds = iter([1000.0, 1007.5])
    clock = ServerClock(AT, lambda: next(seconds))
    assert clock() == AT + timedelta(seconds=7.5)


@pytest.mark.parametrize(("gap", "is_noted"), [(timedelta(hours=20), True), (timedelta(0), False)])
async def test_a_time_in_which_no_worker_looked_is_a_finding(
    gap: timedelta, is_noted: bool
) -> None:
    """The red flags may have fired meanwhile: stability starts again, and people know."""
    world = WatchWorld()
    await world.set_percentage(25)
    notes = WatchCheckpoint(at=AT - gap).model_dump(mode="json")
    world.environment.info = dataclasses.replace(world.environment.info, heartbeat_details=[notes])
    if not is_noted:
        await world.assert_no_finding(blind_after=timedelta(minutes=2))
        return
    finding = await world.watch(blind_after=timedelta(minutes=2))
    assert (finding.name, finding.verdict.severity) == ("unwatched", Severity.P2)
    assert "nobody looked at the red flags for 20h" in finding.verdict.reason
    world.metrics.answers["errors"] = 0.2
    assert (await world.watch(blind_after=timedelta(minutes=2))).name == "errors", "P0 comes first"
