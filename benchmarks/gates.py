"""Statistical gates beside what others do, on the same simulated hours.

False rollbacks: runs in which a gate fires although the treatment changes nothing, over 14 and 28
days of hourly looks, for even users, sticky users and an outage of both cohorts. Detection: hours
until the gate of the damaged metric fires, over 14 days. 2,000 null runs take 15 minutes of one
core, shared by all there are; ``--runs 200 --detection-runs 50`` shows the picture in two.
"""

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, `make bench` does

from benchmarks.support import gates_peers, gates_sluice
from benchmarks.support.gates_edges import Array
from benchmarks.support.gates_traffic import Fired, SimulatedTraffic, TrafficScenario, draw_traffic

DAY = 24
HOURS_SHORT, HOURS_LONG = 14 * DAY, 28 * DAY
SHARES = (0.05, 0.25, 0.5)
BATCH = 50
ALPHA = 3 * gates_sluice.ALPHA_PER_METRIC
DETECTION_HOURS_MAX = {0.05: 10, 0.25: 3, 0.5: 3}
"""Hours to find 0.5 → 2 % errors. The goal names 5 and 25 %; 50 % may not be later than 25 %."""
LATENCY_HOURS_MAX = 2

GateMethod = Callable[[SimulatedTraffic], dict[str, Fired]]
GATE_METHODS: dict[str, GateMethod] = {
    "ours": gates_sluice.fired_gates,
    "ours, by requests": gates_sluice.fired_request_gates,
    "fixed (guide, Argo)": gates_peers.argo,
    "fixed (Flagger)": gates_peers.flagger,
    "Kayenta": gates_peers.kayenta,
    "GrowthBook": gates_peers.growthbook,
}
NULLS = (
    TrafficScenario("even users", users="even"),
    TrafficScenario("sticky users"),
    TrafficScenario("sticky users, outage of both", outage=True),
)
FAULTS = (
    ("errors", TrafficScenario("errors 0.5 → 1 %", error_rate=0.01)),
    ("errors", TrafficScenario("errors 0.5 → 2 %", error_rate=0.02)),
    ("errors", TrafficScenario("errors 0.5 → 2 %, even users", users="even", error_rate=0.02)),
    ("errors", TrafficScenario("errors 0.5 → 5 %", error_rate=0.05)),
    ("latency", TrafficScenario("latency +10 %", latency_factor=1.1)),
    ("latency", TrafficScenario("latency +100 %", latency_factor=2.0)),
    ("latency", TrafficScenario("slowest 3 % × 2", tail_latency_factor=2.0)),
    ("reward", TrafficScenario("reward 0.01 lower", reward_change=-0.01)),
    ("reward", TrafficScenario("reward 0.05 lower", reward_change=-0.05)),
)


@dataclass(frozen=True)
class FalseRollbacks:
    method: str
    scenario: str
    share: float
    runs: int
    days_14: float
    days_28: float


@dataclass(frozen=True)
class Detection:
    """Hours; None when fewer than half (a tenth missing, for p90) of the runs found it in 14 days."""

    method: str
    scenario: str
    share: float
    runs: int
    median: float | None
    p90: float | None


@dataclass(frozen=True)
class SimulationTask:
    """``metric`` None: any gate that fires counts."""

    metric: str | None
    scenario: TrafficScenario
    share: float
    runs: int
    hours: int


def first_hours(task: SimulationTask, pool: Executor) -> dict[str, Array]:
    """For each judge, the hour (from 1) at which it fires in each run, infinite when never."""
    parts = list(pool.map(partial(_batch, task), range(0, task.runs, BATCH)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batch(task: SimulationTask, batch: int) -> dict[str, Array]:
    """Simulate the runs of a batch, whose own seed makes it equal on any machine."""
    rng = np.random.default_rng([batch, round(task.share * 100), *task.scenario.name.encode()])
    size = (min(BATCH, task.runs - batch), task.hours)
    scene = draw_traffic(rng, task.scenario, task.share, size)
    found = {}
    for name, judge in GATE_METHODS.items():
        fired = judge(scene)
        wanted = [f for metric, f in fired.items() if task.metric in (None, metric)]
        if wanted:
            found[name] = _first_fired_hour(np.logical_or.reduce(wanted))
    return found


def _first_fired_hour(fired: Fired) -> Array:
    return np.where(fired.any(axis=1), fired.argmax(axis=1) + 1.0, np.inf)


def false_rollbacks(runs: int, pool: Executor) -> list[FalseRollbacks]:
    rows = []
    for scenario, share in product(NULLS, SHARES):
        task = SimulationTask(None, scenario, share, runs, HOURS_LONG)
        for name, hours in first_hours(task, pool).items():
            short, long = (float((hours <= end).mean()) for end in (HOURS_SHORT, HOURS_LONG))
            rows.append(FalseRollbacks(name, scenario.name, share, runs, short, long))
    return rows


def detections(runs: int, pool: Executor) -> list[Detection]:
    rows = []
    for (metric, scenario), share in product(FAULTS, SHARES):
        task = SimulationTask(metric, scenario, share, runs, HOURS_SHORT)
        for name, hours in first_hours(task, pool).items():
            median, p90 = (float(np.quantile(hours, q, method="inverted_cdf")) for q in (0.5, 0.9))
            rows.append(
                Detection(name, scenario.name, share, runs, *(_finite(x) for x in (median, p90)))
            )
    return rows


def _finite(hours: float) -> float | None:
    return hours if np.isfinite(hours) else None


def missed_bars(nulls: list[FalseRollbacks], detections: list[Detection]) -> list[str]:
    """Return the results below the bar."""
    worst = max(row.days_28 for row in nulls if row.method == "ours")
    said = [f"false rollbacks {worst:.2%} > α {ALPHA:.0%}"] if worst > ALPHA else []
    for row in (row for row in detections if row.method == "ours"):
        limit = None
        if row.scenario == "errors 0.5 → 2 %, even users":
            limit = DETECTION_HOURS_MAX[row.share]
        elif row.scenario == "latency +100 %":
            limit = LATENCY_HOURS_MAX
        if limit is not None and (row.median is None or row.median > limit):
            said.append(f"{row.scenario} at {row.share:.0%}: {row.median} h > {limit} h")
    return said


def headline(nulls: list[FalseRollbacks], detections: list[Detection]) -> str:
    def worst(name: str) -> float:
        return max(row.days_28 for row in nulls if row.method == name)

    hours = [
        f"{row.median:g} h at {row.share:.0%}" if row.median else f"never at {row.share:.0%}"
        for row in detections
        if row.method == "ours" and row.scenario == "errors 0.5 → 2 %, even users"
    ]
    others = ", ".join(f"{name} {worst(name):.0%}" for name in list(GATE_METHODS)[2:])
    short = missed_bars(nulls, detections)
    return (
        f"false rollbacks in 28 days: ours at most {worst('ours'):.1%} (stated α {ALPHA:.0%}), "
        f"{others}; ours sees errors 0.5 → 2 % in {', '.join(hours)}; "
        + (f"MISSED: {'; '.join(short)}" if short else "every bar met")
    )


def print_tables(nulls: list[FalseRollbacks], detections: list[Detection]) -> None:
    """Print Markdown: the docs hold exactly this."""
    heads = [f"{share:.0%}" for share in SHARES]
    print(
        f"\n| false rollbacks, 14 / 28 days ({nulls[0].runs} runs) | judge | {' | '.join(heads)} |"
    )
    print("|---|---|" + "---|" * len(heads))
    for scenario, judge in product(dict.fromkeys(row.scenario for row in nulls), GATE_METHODS):
        rows = [row for row in nulls if (row.scenario, row.method) == (scenario, judge)]
        cells = [f"{row.days_14:.1%} / {row.days_28:.1%}" for row in rows]
        print(f"| {scenario} | {judge} | {' | '.join(cells)} |")
    print(
        f"\n| hours to detect, median / p90 ({detections[0].runs} runs) | judge | {' | '.join(heads)} |"
    )
    print("|---|---|" + "---|" * len(heads))
    for scenario, judge in product(dict.fromkeys(row.scenario for row in detections), GATE_METHODS):
        each = [row for row in detections if (row.scenario, row.method) == (scenario, judge)]
        if each:
            cells = [f"{_format_hours(row.median)} / {_format_hours(row.p90)}" for row in each]
            print(f"| {scenario} | {judge} | {' | '.join(cells)} |")


def _format_hours(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=2000, help="null runs per scenario and share")
    parser.add_argument("--detection-runs", type=int, default=100)
    arguments = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        nulls = false_rollbacks(arguments.runs, pool)
        found = detections(arguments.detection_runs, pool)
    if arguments.json:
        rows = {"null": [asdict(row) for row in nulls], "detection": [asdict(row) for row in found]}
        print(json.dumps({**rows, "alpha": ALPHA, "headline": headline(nulls, found)}))
        return
    print_tables(nulls, found)
    print(f"\n{headline(nulls, found)}")


if __name__ == "__main__":
    main()
