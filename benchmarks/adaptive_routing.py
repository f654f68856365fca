"""The adaptive choice beside the intent's default, on labelled questions: does learning pay?

Each question's right arm is known from its label, so every policy's choices can be counted. In the
world "as labelled" the right arm is the label's default; in "moved" the graph answers semantic
questions and Postgres temporal ones, as in a team whose stores hold other things than the defaults
suppose. A right arm is paid with probability 0.75, a wrong one with 0.25. Half of the questions may
seed a bandit, the other half is asked, in many orders; each bandit learns from what it was paid.

    python -m benchmarks.adaptive_routing --questions train.jsonl [--orders 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from router.embedding import LocalEmbedder
from router.intent import Example, IntentClassifier, read_examples
from router.learning import DIMENSION, LinUCB, Observation
from router.learning.linucb import Vector
from router.learning.off_policy import Estimate, estimate
from router.learning.propensity_log import LogEntry
from router.pipeline.arm_selection import (
    ARMS,
    DEFAULT_ARM,
    ArmSelector,
    warm_started_bandit,
)
from router.pipeline.complexity import assess
from router.pipeline.query_understanding import AnalyzedQuery

REWARD_PROBABILITY = {True: 0.75, False: 0.25}
ALPHA, EPSILON = 0.5, 0.05
FIRST_QUESTIONS = 50
SEED_WEIGHT = 1.0
RIGHT_ARM_TABLES: Mapping[str, Mapping[str, str]] = {
    "as labelled": DEFAULT_ARM,
    "moved": {**DEFAULT_ARM, "semantic": "graph", "temporal": "postgres"},
}


@dataclass(frozen=True, slots=True)
class QuestionCase:
    """A question as the router sees it, and its label."""

    query: AnalyzedQuery
    context: Vector
    label: str


ChooseArm = Callable[[QuestionCase], str]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: its choice, and the bandit that learns, if any."""

    choose: ChooseArm
    bandit: LinUCB | None = None


def analyze_all(rows: Sequence[Example]) -> list[QuestionCase]:
    """Return the shipped models' features of each question."""
    embedder = LocalEmbedder()
    classifier = IntentClassifier.load(embedder)
    return [_analyze(row, embedder, classifier) for row in rows]


def _analyze(row: Example, embedder: LocalEmbedder, classifier: IntentClassifier) -> QuestionCase:
    vector = embedder.embed([row.query])[0]
    intent = classifier.classify(row.query)
    query = AnalyzedQuery(row.query, vector, intent, assess(row.query, intent))
    return QuestionCase(query, query.context(), row.intent)


def policies(
    right_arms: Mapping[str, str], seed_cases: Sequence[QuestionCase], seed: int
) -> dict[str, Policy]:
    """Fresh ones; ``known`` are the labelled questions that may seed a bandit."""

    def labelled(bandit: LinUCB) -> LinUCB:
        return bandit.warm_start(_rewards(right_arms, seed_cases), SEED_WEIGHT)

    cold, warm = LinUCB(ARMS, DIMENSION, ALPHA), warm_started_bandit(ALPHA)
    return {
        "intent's default": Policy(lambda asked: DEFAULT_ARM[asked.query.intent.intent]),
        "cold, always obeyed": _bandit_policy(cold.copy(), seed),
        "cold, default when unsure": _router_policy(cold.copy()),
        "from the defaults, default when unsure": _router_policy(warm.copy()),
        "seeded, always obeyed": _bandit_policy(labelled(cold.copy()), seed),
        "seeded, default when unsure": _router_policy(labelled(cold.copy())),
    }


def _rewards(world: Mapping[str, str], known: Sequence[QuestionCase]) -> Iterator[Observation]:
    for asked in known:
        for arm in ARMS:
            yield Observation(arm, asked.context, REWARD_PROBABILITY[arm == world[asked.label]])


def _bandit_policy(bandit: LinUCB, seed: int) -> Policy:
    rng = np.random.default_rng(seed)
    return Policy(lambda asked: bandit.select(asked.context, rng).arm, bandit)


def _router_policy(bandit: LinUCB) -> Policy:
    """Return the choices of the router's control cohort."""
    chooser = ArmSelector(bandit)
    return Policy(lambda asked: chooser.plan(asked.query, "control", None).choice.arm, bandit)


def run_policy(
    policy: Policy, cases: Sequence[QuestionCase], right_arms: Mapping[str, str], seed: int
) -> tuple[list[bool], list[bool]]:
    """For each question: whether the arm was right, and whether it was the intent's default."""
    rng = np.random.default_rng(seed)
    right, default = [], []
    for asked in cases:
        arm = policy.choose(asked)
        right.append(arm == right_arms[asked.label])
        default.append(arm == DEFAULT_ARM[asked.query.intent.intent])
        if policy.bandit is not None:
            paid = float(rng.random() < REWARD_PROBABILITY[right[-1]])
            policy.bandit.update(arm, asked.context, paid)
    return right, default


def compare_policies(
    rows: Sequence[QuestionCase], right_arms: Mapping[str, str], orders: int
) -> dict[str, Any]:
    """Means over ``orders`` shuffles, each with its own half to seed from."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(orders):
        order = np.random.default_rng(seed).permutation(len(rows))
        known, stream = ([rows[place] for place in half] for half in np.array_split(order, 2))
        for name, policy in policies(right_arms, known, seed).items():
            right, default = run_policy(policy, stream, right_arms, seed)
            shares = (right[:FIRST_QUESTIONS], right, default)
            found.setdefault(name, []).append(
                (
                    statistics.fmean(shares[0]),
                    statistics.fmean(shares[1]),
                    statistics.fmean(shares[2]),
                )
            )
    columns = ("right_first", "right", "default_taken")
    return {
        name: dict(zip(columns, map(statistics.fmean, zip(*runs, strict=True)), strict=True))
        for name, runs in found.items()
    }


def estimate_from_log(
    rows: Sequence[QuestionCase], right_arms: Mapping[str, str], rounds: int
) -> Estimate:
    """Estimate the defaults' reward from the log of an exploring learner."""
    bandit = warm_started_bandit(ALPHA).with_exploration(ALPHA, EPSILON)
    rng = np.random.default_rng(0)
    log = []
    for place in rng.integers(0, len(rows), rounds):
        asked = rows[place]
        choice = bandit.select(asked.context, rng)
        paid = float(rng.random() < REWARD_PROBABILITY[choice.arm == right_arms[asked.label]])
        bandit.update(choice.arm, asked.context, paid)
        log.append((LogEntry(asked.context, choice.arm, choice.propensity, paid), asked))
    return estimate(
        [entry for entry, _ in log],
        [{DEFAULT_ARM[asked.query.intent.intent]: 1.0} for _, asked in log],
    )


def default_mean_reward(rows: Sequence[QuestionCase], right_arms: Mapping[str, str]) -> float:
    return statistics.fmean(
        REWARD_PROBABILITY[DEFAULT_ARM[each.query.intent.intent] == right_arms[each.label]]
        for each in rows
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=Path, required=True, help="lines of query and intent")
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4_000, help="of the learner's log")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    rows = analyze_all(read_examples(options.questions))
    result: dict[str, Any] = {"questions": len(rows)}
    for name, world in RIGHT_ARM_TABLES.items():
        found = compare_policies(rows, world, options.orders)
        estimated, true = (
            estimate_from_log(rows, world, options.rounds),
            default_mean_reward(rows, world),
        )
        result[name] = {"policies": found, "default_earns": true, "log_says": estimated.dr.value}
        print(f"{name}: {len(rows) // 2} asked, {options.orders} orders")
        for policy, row in found.items():
            print(
                f"  {policy:<40} right {row['right']:.3f}, of the first {FIRST_QUESTIONS} "
                f"{row['right_first']:.3f}; default taken {row['default_taken']:.3f}"
            )
        print(
            f"  the log of a learner (epsilon {EPSILON:g}) says of the defaults {estimated.dr.value:.3f} "
            f"({estimated.dr.low:.3f} to {estimated.dr.high:.3f}); they earn {true:.3f}"
        )
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
