"""Statistical gates in worlds that break tests: bots, whitelists, success, cold caches, few rewards.

Each null world asks how often a gate of the shipped plan fails although the treatment harms nobody;
each fault asks how many hours pass until it fails. The gates of version 0.1 read the same rollouts.
`python -m benchmarks.decisions --runs 100` takes about three minutes of one core.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, `make bench` does

from benchmarks.support.decisions_gates import (
    Evidence,
    evidence_0_1,
    evidence_now,
    fired_share,
    first_hours,
    shipped_alpha,
)
from benchmarks.support.decisions_traffic import RolloutCounters, World, draw_rollouts

SHARES = (0.05, 0.25, 0.5)
HOURS = 14 * 24
BATCH = 50
ALPHA_0_1 = 0.03 / 18
"""A gate's part of α in one step of version 0.1."""
NULLS = (
    World("sticky users"),
    World("a bot, 0.5 % of traffic", bot_share=0.005),
    World("a bot, 2 % of traffic", bot_share=0.02),
    World("whitelisted users, 2 % of traffic, 5 % failures", whitelist=True),
    World("users ask 10 % more", asks=1.1),
    World("users ask 30 % more", asks=1.3),
    World("users ask 100 % more", asks=2.0),
    World("cold cache: three times the misses", missed=(0.3, 0.1)),
    World("thumbs up 95 %", thumbs_up=0.95),
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


GATES = ("error_evidence", "latency_evidence", "latency_tail_evidence", "reward_evidence")


def shipped_alphas() -> dict[str, float]:
    """Return each gate's part of α in one step of the shipped plan."""
    return {name: shipped_alpha(name) for name in GATES}


def evidence_in_batches(
    world: World, share: float, runs: int, judge: Callable[[RolloutCounters], Evidence]
) -> Evidence:
    """Return the evidence of all runs; a batch has its own seed, the same on any machine."""
    parts = []
    for start in range(0, runs, BATCH):
        rng = np.random.default_rng([start, round(share * 100), *world.name.encode()])
        size = (min(BATCH, runs - start), HOURS)
        parts.append(judge(draw_rollouts(rng, world, share, size)))
    return {gate: np.concatenate([part[gate] for part in parts]) for gate in parts[0]}


def print_false_failures(runs: int) -> list[str]:
    """Print the table of null worlds; return the worlds in which a gate exceeds its α."""
    alphas, missed = shipped_alphas(), []
    print(f"\n| healthy rollouts that fail in 14 days ({runs} runs) | gate | 5% | 25% | 50% |")
    print("|---|---|---|---|---|")
    for world in NULLS:
        for version, judge in (("0.1", evidence_0_1), ("now", evidence_now)):
            by_share = [evidence_in_batches(world, share, runs, judge) for share in SHARES]
            for gate in by_share[0]:
                alpha = ALPHA_0_1 if version == "0.1" else alphas[gate]
                shares = [fired_share(evidence[gate], alpha) for evidence in by_share]
                if version == "0.1" and max(shares) <= ALPHA_0_1:
                    continue
                cells = " | ".join(f"{share:.1%}" for share in shares)
                print(f"| {world.name} | {version}: {gate} (α {alpha:.2%}) | {cells} |", flush=True)
                if version == "now" and max(shares) > _binomial_limit(alpha, runs):
                    missed.append(f"{world.name}: {gate} {max(shares):.1%}")
    return missed


def _binomial_limit(alpha: float, runs: int) -> float:
    """Return the share of runs that chance alone exceeds once in a thousand times."""
    return alpha + 3.1 * float(np.sqrt(alpha * (1 - alpha) / runs)) + 1 / runs


def print_detections(runs: int) -> None:
    """Print the median hours to detect each fault."""
    alphas = shipped_alphas()
    print(f"\n| median hours to detect ({runs} runs) | gate | 5% | 25% | 50% |")
    print("|---|---|---|---|---|")
    for gate, world in FAULTS:
        for version, judge in (("0.1", evidence_0_1), ("now", evidence_now)):
            name = gate if version == "now" else gate.replace("_tail", "")
            alpha = ALPHA_0_1 if version == "0.1" else alphas[gate]
            cells = []
            for share in SHARES:
                hours = first_hours(evidence_in_batches(world, share, runs, judge)[name], alpha)
                median = float(np.quantile(hours, 0.5, method="inverted_cdf"))
                cells.append(f"{median:g}" if np.isfinite(median) else "–")
            print(f"| {world.name} | {version}: {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="null runs per world and share")
    parser.add_argument("--detection-runs", type=int, default=50)
    arguments = parser.parse_args()
    missed = print_false_failures(arguments.runs)
    print_detections(arguments.detection_runs)
    print(f"\n{'MISSED: ' + '; '.join(missed) if missed else 'every gate within its α'}")


if __name__ == "__main__":
    main()
