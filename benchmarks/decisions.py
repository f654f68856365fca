"""Statistical gates in worlds that break tests: bots, whitelists, success, cold caches, few rewards.

Each null world asks how often a gate of the shipped plan fails although the treatment harms nobody;
each fault asks how many hours pass until it fails. The gates of version 0.1 and other tools read the
same rollouts. `python -m benchmarks.decisions --runs 20 --peer-runs 10` takes about four minutes of one core.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, `make bench` does

from benchmarks.support.decisions_gates import (
    Evidence,
    evidence_0_1,
    evidence_now,
    evidence_of_attempts,
    fired_of_peers,
    first_hours,
    oracle_evidence,
    shipped_alpha,
)
from benchmarks.support.decisions_traffic import (
    PARTS,
    draw_days,
    draw_rollouts,
)
from benchmarks.support.decisions_world import DAY_HOURS, RolloutCounters, World
from benchmarks.support.gates_edges import Array
from benchmarks.support.gates_traffic import ERROR_RATE

SHARES = (0.05, 0.25, 0.5)
STEPS = ("ramp-5", "ramp-25", "ramp-50")
"""The steps of the shipped plan that have these shares; each has its own part of α."""
ONE_GATE_ALPHA = 0.01
"""The α of a gate that shares the plan's with few others: shows what the split costs."""
HOURS = 14 * DAY_HOURS
BATCH = 50
ALPHA_0_1 = 0.03 / 18
"""A gate's part of α in one step of version 0.1."""
NORMAL_95 = 1.96
PEERS = ("fixed", "Kayenta", "GrowthBook")
NULLS = (
    World("sticky users"),
    World("a bot, 0.5 % of traffic", bot_share=0.005),
    World("a bot, 2 % of traffic", bot_share=0.02),
    World("whitelisted users, 2 % of traffic, 5 % failures", whitelist=True),
    World("users ask 10 % more", asks=1.1),
    World("users ask 30 % more", asks=1.3),
    World("users ask 100 % more", asks=2.0),
    World("treated before, users return 10 % more", returns=1.1),
    World("cold cache: three times the misses", missed=(0.3, 0.1)),
    World("thumbs up 95 %", thumbs_up=0.95),
    World("no past of any user", past_hours=0.0),
    World("counters reset once a day", resets_daily=True),
    World("records lost, or the flag lowered and set back, daily", recounts_daily=True),
    World("a person resumes daily", resumes_daily=True),
)
FAULTS = (
    ("error_evidence", World("errors 0.5 → 1 %", error_rate=0.01)),
    ("error_evidence", World("errors 0.5 → 2 %", error_rate=0.02)),
    ("error_evidence", World("errors 0.5 → 1 %, all on 5 % of users", error_rate=0.01, harmed_share=0.05)),
    ("latency_evidence", World("latency × 1.1", latency_factor=1.1)),
    ("latency_evidence", World("latency × 1.25", latency_factor=1.25)),
    ("latency_tail_evidence", World("slowest 3 % × 2", tail_factor=2.0)),
    ("reward_evidence", World("reward 0.05 lower", reward_change=-0.05)),
)  # fmt: skip
READ = {
    "error_evidence": frozenset({"failures"}),
    "latency_evidence": frozenset({"log_times"}),
    "latency_tail_evidence": frozenset({"slow"}),
    "reward_evidence": frozenset({"rewards"}),
}
"""The counters that a gate reads; version 0.1 read the slow ones for both of latency."""
WITH_PAST = frozenset({"failures", "log_times", "rewards"})
METRICS = {"error_evidence": "errors", "reward_evidence": "reward"}
GATES = (
    "sample_ratio",
    "error_evidence",
    "latency_evidence",
    "latency_tail_evidence",
    "reward_evidence",
)
Judge = Callable[[World, tuple[float, int], np.random.Generator, frozenset[str]], Evidence]


def judge_now(
    world: World, where: tuple[float, int], rng: np.random.Generator, parts: frozenset[str]
) -> Evidence:
    """Return the shipped gates' evidence, over the attempts of the world; ``where``: share and runs."""
    share, size = where[0], (where[1], HOURS)
    if world.recounts_daily:
        return evidence_of_attempts((day, 0) for day in draw_days(rng, world, share, size))
    traffic = draw_rollouts(rng, world, share, size, parts)
    if world.resumes_daily:
        return evidence_of_attempts(_resumed_daily(traffic, size[1]))
    return evidence_now(traffic)


def _resumed_daily(traffic: RolloutCounters, hours: int) -> Iterable[tuple[RolloutCounters, int]]:
    for since in range(0, hours, DAY_HOURS):
        yield traffic.until(since + DAY_HOURS), since


def judge_others(
    world: World, where: tuple[float, int], rng: np.random.Generator, parts: frozenset[str]
) -> Evidence:
    """Return the evidence of 0.1, of the oracle, and infinite evidence where another tool's rule fires."""
    share, size = where[0], (where[1], HOURS)
    traffic = draw_rollouts(rng, world, share, size, parts)
    found = {f"0.1 {gate}": logs for gate, logs in evidence_0_1(traffic).items()}
    for tool, by_metric in fired_of_peers(traffic).items():
        for metric in METRICS.values():
            found[f"{tool} {metric}"] = np.where(by_metric[metric], np.inf, 0.0)
    if world.error_rate != ERROR_RATE:
        found["oracle errors"] = oracle_evidence(traffic, (ERROR_RATE, world.error_rate))
    return found


def evidence_in_batches(
    world: World, where: tuple[float, int], judge: Judge, parts: frozenset[str] = PARTS
) -> Evidence:
    """Return the evidence of all runs; a batch has its own seed, the same on any machine."""
    (share, runs), found = where, []
    for start in range(0, runs, BATCH):
        rng = np.random.default_rng([start, round(share * 100), *world.name.encode()])
        found.append(judge(world, (share, min(BATCH, runs - start)), rng, parts))
    return {gate: np.concatenate([one[gate] for one in found]) for gate in found[0]}


def false_failures(world: World, runs: int, judge: Judge) -> dict[str, list[Array]]:
    """Return by gate the highest evidence of each run, at each share."""
    by_share = [evidence_in_batches(world, (share, runs), judge) for share in SHARES]
    return {gate: [one[gate].max(axis=1) for one in by_share] for gate in by_share[0]}


def print_false_failures(runs: int, peer_runs: int) -> list[str]:
    """Print the table of null worlds; return the gates that exceed their α."""
    alphas, missed = {name: shipped_alphas(name) for name in GATES}, []
    print(f"\n| healthy rollouts that fail in 14 days ({runs} runs; others {peer_runs}), at 5 / 25 / 50 % |"
          " worst gate as shipped (its α) | runs | 95 % interval of the worst |"
          f" 0.1 | {' | '.join(PEERS)} |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for world in NULLS:
        shares = {
            gate: [
                float((peak >= -np.log(alpha)).mean())
                for peak, alpha in zip(peaks, alphas[gate], strict=True)
            ]
            for gate, peaks in false_failures(world, runs, judge_now).items()
        }
        worst = max(shares, key=lambda gate: max(shares[gate]) - max(alphas[gate]))
        low, high = binomial_interval(max(shares[worst]), runs)
        cells = [_percent(shares[worst]), f"{low:.1%} to {high:.1%}", *_others(world, peer_runs)]
        name = f"{worst} ({_percent(alphas[worst])})"
        print(f"| {world.name} | {name} | {' | '.join(cells)} |", flush=True)
        missed += [
            f"{world.name}: {gate} {found:.1%}"
            for gate in shares
            for found, alpha in zip(shares[gate], alphas[gate], strict=True)
            if exceeds(found, runs, alpha)
        ]
    return missed


def _others(world: World, runs: int) -> list[str]:
    """Return the share of runs in which any gate of 0.1, or any rule of another tool, fires."""
    if not runs:
        return [""] * (1 + len(PEERS))
    peaks = false_failures(world, runs, judge_others)
    groups = [[v for name, v in peaks.items() if name.startswith(tool)] for tool in ("0.1", *PEERS)]
    bar = -np.log(ALPHA_0_1)
    return [
        _percent([float((np.max([g[at] for g in group], axis=0) >= bar).mean()) for at in range(len(SHARES))])
        for group in groups
    ]  # fmt: skip


def shipped_alphas(gate: str) -> list[float]:
    """Return the gate's parts of α at the shares."""
    return [shipped_alpha(gate, step) for step in STEPS]


def _percent(shares: list[float]) -> str:
    return " / ".join(f"{100 * share:.2g}" for share in shares) + " %"


def binomial_interval(part: float, runs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of runs."""
    square = NORMAL_95**2 / runs
    middle = part + square / 2
    half = NORMAL_95 * np.sqrt(part * (1 - part) / runs + square / (4 * runs))
    return float(max(0.0, middle - half) / (1 + square)), float((middle + half) / (1 + square))


def exceeds(part: float, runs: int, alpha: float) -> bool:
    """Return True if so many runs fail by chance in less than 1 % of all tables like this one."""
    failed, cells = round(part * runs), len(NULLS) * len(SHARES) * len(GATES)
    fewer = (math.comb(runs, k) * alpha**k * (1 - alpha) ** (runs - k) for k in range(failed))
    return 1 - sum(fewer) < 0.01 / cells


def print_detections(runs: int) -> None:
    """Print the median hours to detect each fault."""
    columns = (
        "as shipped",
        f"at α {ONE_GATE_ALPHA:.0%}",
        "no past",
        "0.1",
        "oracle",
        "oracle at α 1%",
        *PEERS,
    )
    print(f"\n| median hours to detect at 5 / 25 / 50 % ({runs} runs) | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for gate, world in FAULTS:
        alphas, metric = shipped_alphas(gate), METRICS.get(gate, "")
        now, blind, others = (
            [evidence_in_batches(one, (share, runs), judge, parts) for share in SHARES]
            for one, judge, parts in (
                (world, judge_now, READ[gate]),
                (replace(world, past_hours=0.0), judge_now, READ[gate] & WITH_PAST),
                (
                    world,
                    judge_others,
                    READ[gate.replace("latency_evidence", "latency_tail_evidence")],
                ),
            )
        )
        has_past = READ[gate] <= WITH_PAST
        cells = [_median_hours(now, gate, at) for at in (alphas, _alike(ONE_GATE_ALPHA))]
        cells.append(_median_hours(blind, gate, alphas) if has_past else "")
        cells.append(_median_hours(others, f"0.1 {gate.replace('_tail', '')}", _alike(ALPHA_0_1)))
        cells += [_median_hours(others, f"{tool} {metric}", alphas) for tool in ("oracle", *PEERS)]
        cells.insert(-len(PEERS), _median_hours(others, f"oracle {metric}", _alike(ONE_GATE_ALPHA)))
        print(f"| {world.name} ({gate}, α {_percent(alphas)}) | {' | '.join(cells)} |", flush=True)


def _alike(alpha: float) -> list[float]:
    return [alpha] * len(SHARES)


def _median_hours(by_share: list[Evidence], gate: str, alphas: list[float]) -> str:
    """Return the medians, or nothing where nobody has such a gate."""
    if gate not in by_share[0]:
        return ""
    medians = []
    for evidence, alpha in zip(by_share, alphas, strict=True):
        hours = first_hours(evidence[gate], alpha)
        median = float(np.quantile(hours, 0.5, method="inverted_cdf"))
        medians.append(f"{median:g}" if np.isfinite(median) else "–")
    return " / ".join(medians)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=500, help="null runs per world and share; 0 for none"
    )
    parser.add_argument(
        "--peer-runs", type=int, default=50, help="the same, of 0.1 and other tools; 0 for none"
    )
    parser.add_argument("--detection-runs", type=int, default=50, help="runs per fault; 0 for none")
    arguments = parser.parse_args()
    if arguments.detection_runs:
        print_detections(arguments.detection_runs)
    if not arguments.runs:
        return
    missed = print_false_failures(arguments.runs, min(arguments.runs, arguments.peer_runs))
    print(f"\n{'MISSED: ' + '; '.join(missed) if missed else 'every gate within its α'}")


if __name__ == "__main__":
    main()
