"""A check never lets a metric that can't be measured pass, and counts only when it is recorded."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.check import CheckActivities
from activities.contract.errors import (
    LedgerUnreachableError,
    MetricsQueryError,
    MetricsUnreachableError,
)
from activities.contract.models import LedgerEntry
from activities.doubles.ledger import MemoryLedger
from activities.doubles.metrics import MemoryMetrics
from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.reading import Reading
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.world import CheckRequest, CheckResult

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
METRICS = {
    "errors": Metric(query="e{$cohort}[$window]", samples="n{$cohort}", unit="ratio"),
    "latency": Metric(query="l{$cohort}", unit="seconds"),
    "memory": Metric(query="m", unit="bytes"),
}


def gate(**fields: object) -> Gate:
    defaults = {"metric": "errors", "threshold": "1%", "window": "5m", "min_samples": 10}
    return Gate.model_validate({**defaults, **fields})


def request(*gates: Gate, **fields: object) -> CheckRequest:
    defaults = {"id": "dark/3", "rollout_id": "r", "step": "dark", "at": AT, "baseline": {}}
    return CheckRequest.model_validate({**defaults, "metrics": METRICS, "gates": gates, **fields})


async def run_check(
    metrics: MemoryMetrics, check_request: CheckRequest, ledger: MemoryLedger | None = None
) -> CheckResult:
    activities = CheckActivities(metrics, ledger or MemoryLedger())
    return await ActivityEnvironment().run(activities.check, check_request)


def healthy_metrics() -> MemoryMetrics:
    return MemoryMetrics(
        {
            "e{treatment}[5m]": 0.004,
            "n{treatment}": 500.0,
            "e{control}[5m]": 0.005,
            "n{control}": 900.0,
            "l{treatment}": 0.3,
            "3600 * deriv((m)[5m:])": 1000.0,
        }
    )


async def test_a_gate_in_its_limit_is_successful() -> None:
    result = await run_check(healthy_metrics(), request(gate()))
    verdict = result.check.verdicts[0]
    assert (verdict.outcome, verdict.value, verdict.samples) == (Outcome.SUCCESSFUL, 0.004, 500)


async def test_control_is_measured_at_the_same_time() -> None:
    metrics = healthy_metrics()
    result = await run_check(metrics, request(gate(kind="control", threshold="+10%")))
    assert result.check.verdicts[0].reference == 0.005
    assert {at for _, at in metrics.queries} == {AT}


async def test_a_trend_is_judged_on_its_slope() -> None:
    trend = gate(metric="memory", kind="trend", threshold=5000, cohort="all", min_samples=0)
    result = await run_check(healthy_metrics(), request(trend))
    assert result.check.verdicts[0].value == 1000


async def test_a_baseline_gate_needs_its_recorded_baseline() -> None:
    against = gate(metric="latency", kind="baseline", threshold="+10%", min_samples=0)
    recorded = Reading(metric="latency", cohort="control", at=AT, value=0.29)
    without = await run_check(healthy_metrics(), request(against))
    with_one = await run_check(healthy_metrics(), request(against, baseline={"latency": recorded}))
    assert without.check.outcome is Outcome.INCONCLUSIVE
    assert with_one.check.outcome is Outcome.SUCCESSFUL


async def test_each_expression_is_asked_once() -> None:
    metrics = healthy_metrics()
    gates = [gate(name=f"errors_{n}", threshold=f"{n}%") for n in range(1, 6)]
    await run_check(metrics, request(*gates))
    assert len(metrics.queries) == 2


async def test_prometheus_away_is_an_error_verdict_for_every_gate_and_no_exception() -> None:
    metrics = healthy_metrics()
    metrics.down = MetricsUnreachableError("Prometheus at http://p can't be asked: refused")
    result = await run_check(metrics, request(gate(), gate(metric="latency", min_samples=0)))
    assert [v.outcome for v in result.check.verdicts] == [Outcome.ERROR, Outcome.ERROR]
    assert "Prometheus at http://p can't be asked: refused" in result.check.reason


async def test_one_bad_metric_leaves_the_others_judged() -> None:
    metrics = healthy_metrics()
    metrics.answers["l{treatment}"] = MetricsQueryError("parse error")
    result = await run_check(metrics, request(gate(), gate(metric="latency", min_samples=0)))
    assert [v.outcome for v in result.check.verdicts] == [Outcome.SUCCESSFUL, Outcome.ERROR]


async def test_a_metric_that_the_plan_does_not_define_is_an_error_verdict() -> None:
    result = await run_check(healthy_metrics(), request(gate(metric="nowhere", severity="P1")))
    assert result.check.outcome is Outcome.ERROR
    assert "nowhere" in result.check.reason


async def test_no_sample_series_means_no_samples() -> None:
    metrics = healthy_metrics()
    del metrics.answers["n{treatment}"]
    result = await run_check(metrics, request(gate()))
    assert result.check.outcome is Outcome.INCONCLUSIVE


async def test_a_baseline_is_recorded_only_from_enough_samples() -> None:
    metrics = healthy_metrics()
    metrics.answers["n{control}"] = 9.0
    wanted = (
        gate(cohort="control"),
        gate(metric="latency", min_samples=0),
        gate(metric="memory", cohort="all", min_samples=0),
    )
    result = await run_check(metrics, request(gate(), baseline_gates=wanted))
    assert list(result.baseline) == ["latency"]


async def test_a_retry_returns_what_was_recorded_first() -> None:
    ledger, metrics = MemoryLedger(), healthy_metrics()
    first = await run_check(metrics, request(gate()), ledger)
    metrics.answers["e{treatment}[5m]"] = 0.5
    assert await run_check(metrics, request(gate()), ledger) == first
    assert len(await ledger.entries("r", "check")) == 1


async def test_the_same_id_at_another_time_is_another_check() -> None:
    ledger, metrics = MemoryLedger(), healthy_metrics()
    await run_check(metrics, request(gate()), ledger)
    metrics.answers["e{treatment}[5m]"] = 0.5
    later = request(gate(), at=AT.replace(minute=5))
    assert (await run_check(metrics, later, ledger)).check.outcome is Outcome.FAILED


class _UnreachableLedger(MemoryLedger):
    async def append(self, entry: LedgerEntry) -> LedgerEntry:
        raise LedgerUnreachableError("away")


async def test_an_unrecorded_check_does_not_count() -> None:
    with pytest.raises(LedgerUnreachableError):
        await run_check(healthy_metrics(), request(gate()), _UnreachableLedger())


class _HungMetrics(MemoryMetrics):
    def query(self, promql: str, at: datetime) -> float | None:
        time.sleep(0.5)
        return super().query(promql, at)


async def test_all_queries_together_are_bounded_in_time() -> None:
    started = time.monotonic()
    sampler = GateEvaluator(_HungMetrics(), AT, EvaluationContext(METRICS, {}), seconds_max=0.1)
    verdicts = await sampler.evaluate([gate(), gate(metric="latency", min_samples=0)])
    assert time.monotonic() - started < 0.4
    assert {verdict.outcome for verdict in verdicts} == {Outcome.ERROR}


async def test_a_check_reads_no_further_back_than_its_step() -> None:
    """Right after a retry, the whole window would hold what was rolled back, or another rollout."""
    metrics = healthy_metrics()
    metrics.answers |= {"e{treatment}[40s]": 0.002, "e{control}[40s]": 0.003}
    since = AT - timedelta(seconds=40)
    result = await run_check(
        metrics, request(gate(), gate(name="both", kind="control"), live_since=since)
    )
    assert {verdict.outcome for verdict in result.check.verdicts} == {Outcome.SUCCESSFUL}
    asked = {promql for promql, _ in metrics.queries if promql.startswith("e{")}
    assert asked == {"e{treatment}[40s]", "e{control}[40s]"}
    whole = await run_check(metrics, request(gate(), live_since=AT - timedelta(minutes=5)))
    assert whole.check.verdicts[0].value == 0.004


@pytest.mark.parametrize(("slope", "outcome"), [(-2.0, "Inconclusive"), (2.0, "Successful")])
async def test_a_trend_does_not_fail_on_a_part_of_its_window(slope: float, outcome: str) -> None:
    """A slope over a few minutes is noise, and one that reaches further back is another step's."""
    trend = gate(kind="trend", metric="reward", threshold=0, direction="above", min_samples=0)
    metric = Metric(query="r{$cohort}", unit="score")
    fields = {"metrics": {"reward": metric}, "live_since": AT - timedelta(minutes=1)}
    metrics = MemoryMetrics({"3600 * deriv((r{treatment})[1m:])": slope})
    (verdict,) = (await run_check(metrics, request(trend, **fields))).check.verdicts
    assert verdict.outcome == outcome
    assert ("live for 1m of the window of 5m" in verdict.reason) is (outcome == "Inconclusive")
    assert not verdict.is_unmeasured, "it is not blind"


@pytest.mark.parametrize(("unit", "outcome"), [("count", "Inconclusive"), ("ratio", "Failed")])
async def test_a_count_that_must_still_grow_does_not_fail_early(unit: str, outcome: str) -> None:
    """Ten updates in an hour can't be there after a minute; too low a ratio is already too low."""
    rule = gate(metric="updates", threshold=10, direction="above", min_samples=0)
    metric = Metric(query="u{$cohort}[$window]", unit=unit)
    fields = {"metrics": {"updates": metric}, "live_since": AT - timedelta(minutes=1)}
    metrics = MemoryMetrics({"u{treatment}[1m]": 2})
    (verdict,) = (await run_check(metrics, request(rule, **fields))).check.verdicts
    assert verdict.outcome == outcome
