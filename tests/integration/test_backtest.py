"""Backtests over a real Prometheus, held to what production's own measuring says at the same times."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.prometheus import PrometheusMetrics
from activities.sampling import Known, Sampler
from cli.backtest_command import backtest as command
from cli.errors import CliError, Exit
from rehearsal.backtest import backtest
from rehearsal.faults import Placed, Trouble
from rehearsal.prometheus import own_prometheus
from rehearsal.ranges import Ranges, reading
from rehearsal.recorded import Recorded
from rehearsal.replayed import Backtest, Replayed
from rehearsal.scenario import Fault, World
from rehearsal.tape import Tape
from rehearsal.traffic import Scene, Setting
from rollout.gate import GateKind
from rollout.plan import RolloutPlan
from rollout.verdict import Outcome
from tests.rehearsal_plan import PHASE4

pytestmark = pytest.mark.integration
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
END = BEGIN + timedelta(hours=10)
MINUTE = timedelta(minutes=1)
BURST, GAP = 300, 420
"""Minutes after BEGIN: a fifth of the treatment's answers fail for ten; nothing is scraped for ten."""


def plan_of(*steps: str) -> RolloutPlan:
    return PHASE4.model_copy(update={"steps": tuple(PHASE4.step(name) for name in steps)})


PLAN = plan_of("baseline", "ramp-25", "ramp-50")


def placed(kind: str, begins: int, size: str | None = None) -> Placed:
    of = {"kind": kind, "step": "ramp-25", "after": "1h", "size": size}
    return Placed(Fault.model_validate(of), begins, begins + 10, 0)


@pytest.fixture(scope="module")
def ranges() -> Iterator[Ranges]:
    """Ten hours at 25 %, with a burst of errors and a gap."""
    live = Setting(25, flags_on=True, learning_on=True)
    trouble = Trouble((placed("errors", BURST, "20%"), placed("scrape", GAP)))
    with own_prometheus(60) as url, reading(url) as one:
        scene = Scene(World(), live, live, 0, 60.0, 8.0, 200.0, trouble, 1)
        Tape(scene, one, BEGIN.timestamp()).reach(END.timestamp())
        yield one


@pytest.fixture(scope="module")
def done(ranges: Ranges) -> Backtest:
    return backtest(Recorded(PLAN, ranges, BEGIN, END), MINUTE)


def rule(done: Backtest, name: str, kind: str = "red flag") -> Replayed:
    return next(one for one in done.rules if (one.gate, one.kind) == (name, kind))


def test_the_burst_is_the_only_thing_that_would_have_acted(done: Backtest) -> None:
    """Within minutes of it, with its sentence, and by the evidence of both cohorts too."""
    acted = {one.gate: alarm for one, alarm in done.alarms}
    assert set(acted) == {"error_spike", "error_surge", "error_evidence"}
    burst = BEGIN + BURST * MINUTE
    for alarm in acted.values():
        assert burst <= alarm.begins <= burst + 10 * MINUTE
    assert "is not below 5.00%" in acted["error_spike"].because
    assert done.alarms_a_week == pytest.approx(3 / ((END - BEGIN) / timedelta(weeks=1)))


def test_counts_add_up_and_a_gap_is_no_data(done: Backtest) -> None:
    """Red flags: ten minutes of gap less the two that a sample may be old, and the first look."""
    for one in done.rules:
        assert one.looks == one.successful + one.failed + one.unsure + one.no_data, one.gate
    spike = rule(done, "error_spike")
    assert spike.looks == 601
    assert 7 <= spike.no_data <= 11
    assert rule(done, "error_evidence").no_data == pytest.approx(3, abs=1)


async def test_every_verdict_is_productions(done: Backtest, ranges: Ranges) -> None:
    """The Sampler of the worker, asked at the times at which verdicts change, and between."""
    with PrometheusMetrics(ranges.url) as metrics:
        for minutes in (2, BURST + 3, GAP + 1, GAP + 4, GAP + 8, 595):
            at = BEGIN + minutes * MINUTE
            known = Known(PLAN.metrics, done.baseline, None, PLAN.stale_after)
            rules = [r for r in done.rules if r.kind == "red flag" and r.every == MINUTE]
            flags = [
                g for s in PLAN.steps for g in s.red_flags if g.kind is not GateKind.STATISTICAL
            ]
            gates = [next(g for g in flags if g.name == r.gate) for r in rules]
            verdicts = await Sampler(metrics, at, known).verdicts(gates)
            for one, verdict in zip(rules, verdicts, strict=True):
                said = next(v for v in one.verdicts if v.begins <= at < v.ends)
                assert said.outcome is verdict.outcome, (one.gate, minutes, verdict.because)


def test_control_stands_for_the_treatment_before_the_first_rollout(ranges: Ranges) -> None:
    """Its gates are judged on control, where the burst never was."""
    plan = plan_of("ramp-25")
    done = backtest(Recorded(plan, ranges, BEGIN, END, "control"), MINUTE)
    assert done.alarms == ()
    assert rule(done, "error_spike").judged > 580
    assert "two cohorts" in rule(done, "error_evidence").note


def test_what_was_never_recorded_is_named(ranges: Ranges) -> None:
    """The series, or the cohorts that there are."""
    metrics = {
        **PHASE4.metrics,
        "error_rate": PHASE4.metrics["error_rate"].model_copy(update={"query": "sum(mine_total)"}),
        "complaints": PHASE4.metrics["complaints"].model_copy(
            update={"query": 'sum(router_redis_errors_total{cohort=~"$cohort"})'}
        ),
    }
    plan = plan_of("ramp-25").model_copy(update={"metrics": metrics})
    done = backtest(Recorded(plan, ranges, BEGIN, BEGIN + timedelta(hours=1)), MINUTE)
    assert rule(done, "error_spike").note == "no series mine_total was recorded"
    told = "router_redis_errors_total was recorded without a cohort label, not of treatment"
    assert rule(done, "complaints").note == told
    assert rule(done, "error_spike") in done.never_had_data
    assert rule(done, "error_spike").verdicts[0].outcome is Outcome.INCONCLUSIVE


def called(capsys: pytest.CaptureFixture[str], *, begin: str, end: str, **more: object) -> str:
    path = Path(__file__).parents[2] / "plans" / "phase4.yaml"
    options: dict[str, object] = {"prometheus": "", "tsdb": None, "treatment": "treatment"}
    command(path, begin, end, every="", **{**options, **more})  # type: ignore[arg-type]  # options of a test
    return capsys.readouterr().out


def test_errors_say_what_to_do(ranges: Ranges, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with the exit code of docs/cli.md."""
    cases = (
        ({"begin": "yesterday", "end": "now"}, Exit.USAGE, "--from 'yesterday'"),
        ({"begin": "1h", "end": "2h"}, Exit.USAGE, "later than"),
        ({"begin": "2h", "end": "1h", "treatment": "new"}, Exit.USAGE, "control"),
        ({"begin": "2h", "end": "1h", "tsdb": Path("/nowhere")}, Exit.USAGE, "no folder"),
        ({"begin": "2h", "end": "1h", "tsdb": Path(__file__).parent}, Exit.NOT_FOUND, "tsdb.path"),
        (
            {"begin": "2h", "end": "1h", "prometheus": "http://127.0.0.1:9"},
            Exit.UNREACHABLE,
            "asked",
        ),
        (
            {"begin": "2024-01-01", "end": "2024-01-02", "prometheus": ranges.url},
            Exit.NOT_FOUND,
            "Nothing was recorded from 2024-01-01",
        ),
    )
    for options, code, told in cases:
        with pytest.raises(CliError, match=told) as caught:
            called(capsys, **options)
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
    told = called(capsys, begin=BEGIN.isoformat(), end="2026-01-05T02:00", tsdb=folder, json=True)
    rules = {one["gate"]: one for one in json.loads(told)["rules"]}
    crashed = rules["process_crashed"]
    assert (crashed["looks"], crashed["successful"], crashed["alarms"]) == (121, 121, [])
    assert rules["error_spike"]["note"] == "no series router_queries_total was recorded"
    after = {path: path.stat() for path in folder.rglob("*")}
    assert {p: (s.st_size, s.st_mtime_ns) for p, s in before.items()} == {
        p: (s.st_size, s.st_mtime_ns) for p, s in after.items()
    }
    with pytest.raises(CliError, match="hold 2026-01-05 00:00 to 2026-01-05"):
        called(capsys, begin="2025-01-01", end="2025-01-02", tsdb=folder)
