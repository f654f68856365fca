"""Blocks of counts on a real Prometheus: exact, and silent where something was missed."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from activities.adapters.prometheus import PrometheusMetrics
from activities.measuring.block_measurement import measure_block
from activities.measuring.gate_evaluator import EvaluationContext, GateEvaluator
from activities.measuring.query_batch import QueryBatch
from sluice.rollout.analysis.gate import Gate, Metric
from sluice.rollout.analysis.sequential_state import Block, EvidenceContext
from sluice.rollout.analysis.statistic import AnyStatistic, EventRate, LatencyTail, MeanValue
from sluice.rollout.analysis.verdict import Outcome
from sluice.stack.executables import find_executable

pytestmark = pytest.mark.integration
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STALE_AFTER = 2 * MINUTE
RATE = EventRate(
    events='router_queries_total{cohort=~"$cohort",outcome="error"}',
    units='router_queries_total{cohort=~"$cohort"}',
)
TAIL = LatencyTail(
    buckets='router_query_duration_seconds_bucket{cohort=~"$cohort",le=~"$le"}', edges=(0.5, 1)
)
HOURS = 6
RESET_AT = 3 * 60 + 10
GAP_MINUTES = range(4 * 60 + 10, 4 * 60 + 20)
CONTROL_ENDS = 5 * 60


INSTANCES = [
    (instance, cohort, whole * part)
    for instance, whole in (("restarting", 0.75), ("steady", 0.25))
    for cohort, part in (("treatment", 0.6), ("control", 0.4))
]
"""Processes, cohorts, and their parts of all queries."""
LOST_AT = 90
"""The minute from which users are counted again."""


def counted_since(minute: int) -> float:
    return (START + (LOST_AT if minute >= LOST_AT else 0) * MINUTE).timestamp()


def openmetrics_text() -> str:
    """Six hours of two processes, a scrape a minute; 300 queries a minute, 3 of them errors.

    60 % are treatment. In the fourth hour one process restarts, in the fifth ten minutes are
    missing, the sixth lacks control.
    """
    families: dict[str, list[str]] = {"router_queries": [], "router_query_duration_seconds": []}
    for minute in (m for m in range(HOURS * 60 + 1) if m not in GAP_MINUTES):
        at = int((START + minute * MINUTE).timestamp())
        for instance, cohort, part in INSTANCES:
            since = minute
            if instance == "restarting" and minute >= RESET_AT:
                since = minute - RESET_AT
            if cohort == "control" and minute > CONTROL_ENDS:
                continue
            labels = f'instance="{instance}",cohort="{cohort}"'
            for outcome, rate in (("ok", 297), ("error", 3)):
                line = f'router_queries_total{{{labels},outcome="{outcome}"}} {since * rate * part:g} {at}'
                families["router_queries"].append(line)
            for le, below in (("0.5", 270), ("1.0", 294), ("+Inf", 300)):
                name = "router_query_duration_seconds_bucket"
                line = f'{name}{{{labels},le="{le}"}} {since * below * part:g} {at}'
                families["router_query_duration_seconds"].append(line)
    families["counted_since"] = [
        f"counted_since {counted_since(minute):.0f} {int((START + minute * MINUTE).timestamp())}"
        for minute in range(HOURS * 60 + 1)
    ]
    kinds = {"router_queries": "counter", "router_query_duration_seconds": "histogram"}
    kinds["counted_since"] = "gauge"
    lines = [x for name, rows in families.items() for x in (f"# TYPE {name} {kinds[name]}", *rows)]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def metrics(
    tmp_path_factory: pytest.TempPathFactory, stack_guard: None
) -> Iterator[PrometheusMetrics]:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "metrics.txt").write_text(openmetrics_text())
    (folder / "prometheus.yml").write_text("")
    promtool = [find_executable("promtool", "apt-get install prometheus"), "tsdb"]
    arguments = ["create-blocks-from", "openmetrics", "metrics.txt", "data"]
    subprocess.run([*promtool, *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S603
    with running_prometheus(folder) as url, PrometheusMetrics(url) as port:
        yield port


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


@contextmanager
def running_prometheus(folder: Path) -> Iterator[str]:
    url = f"127.0.0.1:{free_port()}"
    command = [
        find_executable("prometheus", "apt-get install prometheus"),
        "--storage.tsdb.path=data",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address={url}",
    ]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_until_ready(f"http://{url}/-/ready")
            yield f"http://{url}"
        finally:
            process.terminate()


def wait_until_ready(url: str) -> None:
    with httpx.Client() as client:
        for _ in range(300):
            with suppress(httpx.TransportError):
                if client.get(url).status_code == 200:
                    return
            time.sleep(0.1)
    raise AssertionError("Prometheus did not start")


def block_of_hour(index: int) -> Block:
    return Block(since=START + index * HOUR, until=START + (index + 1) * HOUR, share=0.6)


async def measure(metrics: PrometheusMetrics, index: int, of: AnyStatistic = RATE) -> Block:
    metric, times = Metric(query="up", unit="count", statistic=of), (START, STALE_AFTER)
    return await measure_block(QueryBatch(metrics, 20), metric, block_of_hour(index), times)


async def test_a_block_counts_exactly_what_happened(metrics: PrometheusMetrics) -> None:
    block = await measure(metrics, 1)
    assert (block.problem, block.error) == ("", "")
    assert block.treatment == {"events": pytest.approx(108), "units": pytest.approx(10800)}
    assert block.control == {"events": pytest.approx(72), "units": pytest.approx(7200)}


async def test_buckets_are_read_at_the_edges(metrics: PrometheusMetrics) -> None:
    """The client wrote 1 s as ``1.0``, others write ``1``: both are found."""
    block = await measure(metrics, 1, TAIL)
    assert block.treatment == pytest.approx({"0.5": 9720, "1": 10584, "all": 10800})


async def test_a_process_that_restarts_drops_out_of_its_own_block_only(
    metrics: PrometheusMetrics,
) -> None:
    block = await measure(metrics, 3)
    assert (block.problem, block.error) == ("", "")
    assert block.treatment == {"events": pytest.approx(27), "units": pytest.approx(2700)}
    assert block.control == {"events": pytest.approx(18), "units": pytest.approx(1800)}


async def test_users_that_are_counted_again_are_noticed(metrics: PrometheusMetrics) -> None:
    """The block in which the counting began again mixes two; the later ones belong to the second."""
    users = MeanValue(
        units=RATE.units, total=RATE.units, squares=RATE.units, counted_since="counted_since"
    )
    first, mixed, second = [await measure(metrics, index, users) for index in range(3)]
    assert (first.counted_since, second.counted_since) == (counted_since(0), counted_since(90))
    assert "the counting of users began again" in mixed.problem
    unknown = await measure(metrics, 0, users.model_copy(update={"counted_since": "absent_series"}))
    assert "is unknown" in unknown.problem


@pytest.mark.parametrize(
    ("index", "why"),
    [
        (4, "nothing was scraped for 120 s"),
        (5, "the control cohort has no counts"),
        (-1, "nothing was scraped"),
        (7, "nothing was scraped"),
    ],
)
async def test_a_block_with_missing_scrapes_has_no_data(
    metrics: PrometheusMetrics, index: int, why: str
) -> None:
    block = await measure(metrics, index)
    assert why in block.problem
    assert (block.treatment, block.control) == ({}, {})


async def test_a_gate_weighs_all_blocks_that_are_due(metrics: PrometheusMetrics) -> None:
    gate = Gate.model_validate(
        {"name": "errors", "metric": "errors", "kind": "statistical", "window": "30m"}
    )
    known = EvaluationContext(
        {"errors": Metric(query="up", unit="ratio", statistic=RATE)},
        {},
        EvidenceContext(since=START, share=0.6, alphas={"errors": 0.01}),
    )
    sampler = GateEvaluator(metrics, START + 2 * HOUR + MINUTE, known)
    (verdict,) = await sampler.evaluate([gate])
    assert verdict.outcome is Outcome.SUCCESSFUL
    assert verdict.samples == pytest.approx(21600)
    assert "1.00% (treatment, 216/21,600) against 1.00% (control, 144/14,400" in verdict.reason
    track = sampler.sequential_states["errors"]
    assert (track.until, track.blocks) == (START + 2 * HOUR, 4)


@pytest.mark.parametrize("minutes", [1, 4, 30])
async def test_a_metric_no_longer_scraped_has_no_data(
    metrics: PrometheusMetrics, minutes: int
) -> None:
    """Its one-hour rate would still have a value for an hour."""
    metric = Metric(
        query='sum(rate(router_queries_total{cohort=~"$cohort"}[$window]))', unit="count"
    )
    gate = Gate.model_validate({"metric": "m", "threshold": 1e9, "window": "1h"})
    at = START + HOURS * HOUR + minutes * MINUTE
    (verdict,) = await GateEvaluator(metrics, at, EvaluationContext({"m": metric}, {})).evaluate(
        [gate]
    )
    if minutes == 1:
        assert verdict.outcome is Outcome.SUCCESSFUL
    else:
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert "no data: its newest sample is 240 s old" in verdict.reason or (
            "its series are not scraped any more" in verdict.reason
        )


async def test_a_stopped_prometheus_leaves_the_block_for_later() -> None:
    with PrometheusMetrics(f"http://127.0.0.1:{free_port()}") as nobody:
        block = await measure(nobody, 1)
    assert "can't be asked" in block.error
