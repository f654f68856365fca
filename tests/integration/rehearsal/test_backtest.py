"""Backtests over a real Prometheus, held to what production's own measuring says at the same times."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.adapters.prometheus import PrometheusMetrics
from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator
from sluice.cli.commands.backtest import backtest as command
from sluice.cli.errors import CliError, Exit
from sluice.rehearsal.backtest.history import PrometheusHistory
from sluice.rehearsal.backtest.replay import run_backtest
from sluice.rehearsal.backtest.result import BacktestResult, RuleReplay
from sluice.rehearsal.prometheus.ephemeral_server import ephemeral_prometheus
from sluice.rehearsal.prometheus.range_query import PrometheusClient, open_client
from sluice.rehearsal.timeline.step_recording import StepRecording
from sluice.rehearsal.traffic.fault_schedule import FaultSchedule, ScheduledFault
from sluice.rehearsal.traffic.scenario import ScenarioFault, TrafficModel
from sluice.rehearsal.traffic.traffic_spec import RouterState, TrafficSpec
from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.plan.schema import RolloutPlan
from tests.phase4_plan import PHASE4

pytestmark = pytest.mark.integration
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
END = BEGIN + timedelta(hours=10)
MINUTE = timedelta(minutes=1)
BURST, GAP = 300, 420
"""Minutes after BEGIN: a fifth of the treatment's answers fail for ten; nothing is scraped for ten."""


def plan_with_steps(*steps: str) -> RolloutPlan:
    return PHASE4.model_copy(update={"steps": tuple(PHASE4.step(name) for name in steps)})


PLAN = plan_with_steps("baseline", "ramp-25", "ramp-50")


def scheduled_fault(kind: str, begins: int, size: str | None = None) -> ScheduledFault:
    of = {"kind": kind, "step": "ramp-25", "after": "1h", "size": size}
    return ScheduledFault(ScenarioFault.model_validate(of), begins, begins + 10, 0)


@pytest.fixture(scope="module")
def ranges() -> Iterator[PrometheusClient]:
    """Ten hours at 25 %, with a burst of errors and a gap."""
    live = RouterState(25, flags_on=True, learning_on=True)
    trouble = FaultSchedule(
        (scheduled_fault("errors", BURST, "20%"), scheduled_fault("scrape", GAP))
    )
    with ephemeral_prometheus(60) as url, open_client(url) as one:
        scene = TrafficSpec(TrafficModel(), live, live, 0, 60.0, 8.0, 200.0, trouble, 1)
        StepRecording(scene, one, BEGIN.timestamp()).record_until(END.timestamp())
        yield one


@pytest.fixture(scope="module")
def backtest_result(ranges: PrometheusClient) -> BacktestResult:
    return run_backtest(PrometheusHistory(PLAN, ranges, BEGIN, END), MINUTE)


def rule_replay(backtest_result: BacktestResult, name: str, kind: str = "red flag") -> RuleReplay:
    return next(one for one in backtest_result.rules if (one.gate, one.kind) == (name, kind))


def test_the_burst_is_the_only_thing_that_would_have_acted(backtest_result: BacktestResult) -> None:
    """Within minutes of it, with its sentence. The users' first requests of the step are long over."""
    acted = {one.gate: alarm for one, alarm in backtest_result.alarms}
    assert set(acted) == {"error_spike", "error_evidence_hourly"}
    burst = BEGIN + BURST * MINUTE
    for alarm in acted.values():
        assert burst <= alarm.begin <= burst + 10 * MINUTE
    assert "is not below 5.00%" in acted["error_spike"].reason
    assert backtest_result.alarms_per_week == pytest.approx(
        len(acted) / ((END - BEGIN) / timedelta(weeks=1))
    )


def test_counts_add_up_and_a_gap_counts_as_no_data(backtest_result: BacktestResult) -> None:
    """Red flags: ten minutes of gap less the two that a sample may be old, and the first look."""
    for one in backtest_result.rules:
        assert one.evaluations == one.successful + one.failed + one.inconclusive + one.no_data, (
            one.gate
        )
    spike = rule_replay(backtest_result, "error_spike")
    assert spike.evaluations == 601
    assert 7 <= spike.no_data <= 11
    assert rule_replay(backtest_result, "error_evidence").no_data == pytest.approx(3, abs=1)


async def test_every_verdict_is_productions(
    backtest_result: BacktestResult, ranges: PrometheusClient
) -> None:
    """The Sampler of the worker, asked at the times at which verdicts change, and between."""
    with PrometheusMetrics(ranges.url) as metrics:
        for minutes in (2, BURST + 3, GAP + 1, GAP + 4, GAP + 8, 595):
            at = BEGIN + minutes * MINUTE
            known = EvaluationContext(
                PLAN.metrics, backtest_result.baseline, None, PLAN.stale_after
            )
            rules = [
                r for r in backtest_result.rules if r.kind == "red flag" and r.interval == MINUTE
            ]
            flags = [
                g for s in PLAN.steps for g in s.red_flags if g.kind is not GateKind.STATISTICAL
            ]
            gates = [next(g for g in flags if g.name == r.gate) for r in rules]
            verdicts = await GateEvaluator(metrics, at, known).evaluate(gates)
            for one, verdict in zip(rules, verdicts, strict=True):
                said = next(v for v in one.verdicts if v.begin <= at < v.end)
                assert said.outcome is verdict.outcome, (one.gate, minutes, verdict.reason)


def test_control_is_read_as_the_treatment_before_the_first_rollout(
    ranges: PrometheusClient,
) -> None:
    """Its gates are judged on control, where the burst never was."""
    plan = plan_with_steps("ramp-25")
    backtest_result = run_backtest(PrometheusHistory(plan, ranges, BEGIN, END, "control"), MINUTE)
    assert backtest_result.alarms == ()
    assert rule_replay(backtest_result, "error_spike").conclusive > 580
    assert "two cohorts" in rule_replay(backtest_result, "error_evidence").note


def test_what_was_never_recorded_is_named(ranges: PrometheusClient) -> None:
    """The series, or the cohorts that there are."""
    metrics = {
        **PHASE4.metrics,
        "error_rate": PHASE4.metrics["error_rate"].model_copy(update={"query": "sum(mine_total)"}),
        "complaints": PHASE4.metrics["complaints"].model_copy(
            update={"query": 'sum(router_redis_errors_total{cohort=~"$cohort"})'}
        ),
    }
    plan = plan_with_steps("ramp-25").model_copy(update={"metrics": metrics})
    backtest_result = run_backtest(
        PrometheusHistory(plan, ranges, BEGIN, BEGIN + timedelta(hours=1)), MINUTE
    )
    assert (
        rule_replay(backtest_result, "error_spike").note == "the series mine_total was not recorded"
    )
    text = "router_redis_errors_total was recorded without the label 'cohort', not of treatment"
    assert rule_replay(backtest_result, "complaints").note == text
    assert rule_replay(backtest_result, "error_spike") in backtest_result.rules_without_data
    assert rule_replay(backtest_result, "error_spike").verdicts[0].outcome is Outcome.INCONCLUSIVE


def run_backtest_command(
    capsys: pytest.CaptureFixture[str], *, begin: str, end: str, **more: object
) -> str:
    path = Path(__file__).parents[3] / "plans" / "phase4.yaml"
    options: dict[str, object] = {"prometheus": "", "tsdb": None, "treatment": "treatment"}
    command(path, begin, end, every="", **{**options, **more})  # type: ignore[arg-type]  # options of a test
    return capsys.readouterr().out


def test_errors_name_the_exit_code_and_the_next_step(
    ranges: PrometheusClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with the exit code of docs/cli.md."""
    cases = (
        ({"begin": "yesterday", "end": "now"}, Exit.USAGE, "--from 'yesterday'"),
        ({"begin": "1h", "end": "2h"}, Exit.USAGE, "later than"),
        ({"begin": "2h", "end": "1h", "treatment": "new"}, Exit.USAGE, "control"),
        ({"begin": "2h", "end": "1h", "tsdb": Path("/nowhere")}, Exit.USAGE, "not a folder"),
        ({"begin": "2h", "end": "1h", "tsdb": Path(__file__).parent}, Exit.NOT_FOUND, "tsdb.path"),
        (
            {"begin": "2h", "end": "1h", "prometheus": "http://127.0.0.1:9"},
            Exit.UNREACHABLE,
            "cannot be reached",
        ),
        (
            {"begin": "2024-01-01", "end": "2024-01-02", "prometheus": ranges.url},
            Exit.NOT_FOUND,
            "Nothing was recorded from 2024-01-01",
        ),
    )
    for options, code, text in cases:
        with pytest.raises(CliError, match=text) as caught:
            run_backtest_command(capsys, **options)
        assert caught.value.code is code


def test_files_of_another_prometheus_are_read_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command on a folder: its verdicts, and every file as it was."""
    lines = ["# TYPE up gauge"]
    lines += [f'up{{job="router"}} 1 {BEGIN.timestamp() + 60 * i:.0f}' for i in range(120)]
    (tmp_path / "text").write_text("\n".join([*lines, "# EOF", ""]))
    folder = tmp_path / "data"
    argv = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        f"{tmp_path}/text",
        f"{folder}",
    ]
    subprocess.run(argv, check=True, capture_output=True)  # noqa: S603  Debian's prometheus brings it
    before = {path: path.stat() for path in folder.rglob("*")}
    text = run_backtest_command(
        capsys, begin=BEGIN.isoformat(), end="2026-01-05T02:00", tsdb=folder, json=True
    )
    rules = {one["gate"]: one for one in json.loads(text)["rules"]}
    crashed = rules["process_crashed"]
    assert (crashed["evaluations"], crashed["successful"], crashed["alarms"]) == (121, 121, [])
    assert rules["error_spike"]["note"] == "the series router_queries_total was not recorded"
    after = {path: path.stat() for path in folder.rglob("*")}
    assert {p: (s.st_size, s.st_mtime_ns) for p, s in before.items()} == {
        p: (s.st_size, s.st_mtime_ns) for p, s in after.items()
    }
    with pytest.raises(CliError, match="hold 2026-01-05 00:00 to 2026-01-05"):
        run_backtest_command(capsys, begin="2025-01-01", end="2025-01-02", tsdb=folder)
