"""The adaptive choice beside the intent's default, on labelled questions: does learning pay?

Each question's right arm is known from its label, so every policy's choices can be counted. In the
world "as labelled" the right arm is the label's default; in "moved" the graph answers semantic
questions and Postgres temporal ones, as in a team whose stores hold other things than the defaults
suppose. A right arm is paid with probability 0.75, a wrong one with 0.25. Half of the questions may
seed a bandit, the other half is asked, in many orders; each bandit learns from what it was paid.

    python -m benchmarks.adaptive --questions train.jsonl [--orders 20] [--json FILE]
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

from router.complexity import assess
from router.decisions import ARMS, DEFAULT_ARM, Chooser, Question, warm_start
from router.embedding import LocalEmbedder
from router.intent import Example, IntentClassifier, read_examples
from router.learning import DIMENSION, LinUCB, Observation, project
from router.learning.evaluate import Estimate, estimate
from router.learning.linucb import Vector
from router.learning.log import LogEntry

PAID = {True: 0.75, False: 0.25}
ALPHA, EPSILON = 0.5, 0.05
FIRST = 50
SEED_WEIGHT = 1.0
WORLDS: Mapping[str, Mapping[str, str]] = {
    "as labelled": DEFAULT_ARM,
    "moved": {**DEFAULT_ARM, "semantic": "graph", "temporal": "postgres"},
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the router sees it, and its label."""

    question: Question
    context: Vector
    label: str


Choose = Callable[[Asked], str]


@dataclass(frozen=True, slots=True)
class Policy:
    """How it chooses, and the bandit that learns, if one does."""

    choose: Choose
    bandit: LinUCB | None = None


def understood(rows: Sequence[Example]) -> list[Asked]:
    """What the shipped models make of each question."""
    embedder = LocalEmbedder()
    classifier = IntentClassifier.load(embedder)
    return [_understood(row, embedder, classifier) for row in rows]


def _understood(row: Example, embedder: LocalEmbedder, classifier: IntentClassifier) -> Asked:
    vector = embedder.embed([row.query])[0]
    intent = classifier.classify(row.query)
    complexity = assess(row.query, intent).score
    question = Question(vector, intent.intent, intent.confidence, complexity)
    context = project(vector, intent.intent, intent.confidence, complexity)
    return Asked(question, context, row.intent)


def policies(world: Mapping[str, str], known: Sequence[Asked], seed: int) -> dict[str, Policy]:
    """Fresh ones; ``known`` are the labelled questions that may seed a bandit."""

    def labelled(bandit: LinUCB) -> LinUCB:
        return bandit.warm_start(_rewards(world, known), SEED_WEIGHT)

    cold, warm = LinUCB(ARMS, DIMENSION, ALPHA), warm_start(ALPHA)
    return {
        "intent's default": Policy(lambda asked: DEFAULT_ARM[asked.question.intent]),
        "cold, always obeyed": _obeyed(cold.copy(), seed),
        "cold, default when unsure": _careful(cold.copy()),
        "from the defaults, default when unsure": _careful(warm.copy()),
        "seeded, always obeyed": _obeyed(labelled(cold.copy()), seed),
        "seeded, default when unsure": _careful(labelled(cold.copy())),
    }


def _rewards(world: Mapping[str, str], known: Sequence[Asked]) -> Iterator[Observation]:
    for asked in known:
        for arm in ARMS:
            yield Observation(arm, asked.context, PAID[arm == world[asked.label]])


def _obeyed(bandit: LinUCB, seed: int) -> Policy:
    rng = np.random.default_rng(seed)
    return Policy(lambda asked: bandit.select(asked.context, rng).arm, bandit)


def _careful(bandit: LinUCB) -> Policy:
    """What the router does for its control cohort."""
    chooser = Chooser(bandit)
    return Policy(lambda asked: chooser.plan(asked.question, "control", None).choice.arm, bandit)


def asked_of(
    policy: Policy, stream: Sequence[Asked], world: Mapping[str, str], seed: int
) -> tuple[list[bool], list[bool]]:
    """For each question: whether the arm was right, and whether it was the intent's default."""
    rng = np.random.default_rng(seed)
    right, default = [], []
    for asked in stream:
        arm = policy.choose(asked)
        right.append(arm == world[asked.label])
        default.append(arm == DEFAULT_ARM[asked.question.intent])
        if policy.bandit is not None:
            paid = float(rng.random() < PAID[right[-1]])
            policy.bandit.update(arm, asked.context, paid)
    return right, default


def compare(rows: Sequence[Asked], world: Mapping[str, str], orders: int) -> dict[str, Any]:
    """Means over ``orders`` shuffles, each with its own half to seed from."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(orders):
        order = np.random.default_rng(seed).permutation(len(rows))
        known, stream = ([rows[place] for place in half] for half in np.array_split(order, 2))
        for name, policy in policies(world, known, seed).items():
            right, default = asked_of(policy, stream, world, seed)
            shares = (right[:FIRST], right, default)
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


def told_by_propensities(rows: Sequence[Asked], world: Mapping[str, str], rounds: int) -> Estimate:
    """What the log of an exploring learner says the defaults would have earned."""
    bandit = warm_start(ALPHA).with_exploration(ALPHA, EPSILON)
    rng = np.random.default_rng(0)
    log = []
    for place in rng.integers(0, len(rows), rounds):
        asked = rows[place]
        choice = bandit.select(asked.context, rng)
        paid = float(rng.random() < PAID[choice.arm == world[asked.label]])
        bandit.update(choice.arm, asked.context, paid)
        log.append((LogEntry(asked.context, choice.arm, choice.propensity, paid), asked))
    return estimate(
        [entry for entry, _ in log], [{DEFAULT_ARM[asked.question.intent]: 1.0} for _, asked in log]
    )


def earned_by_default(rows: Sequence[Asked], world: Mapping[str, str]) -> float:
    return statistics.fmean(
        PAID[DEFAULT_ARM[each.question.intent] == world[each.label]] for each in rows
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=Path, required=True, help="lines of query and intent")
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4_000, help="of the learner's log")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    rows = understood(read_examples(options.questions))
    result: dict[str, Any] = {"questions": len(rows)}
    for name, world in WORLDS.items():
        found = compare(rows, world, options.orders)
        told, true = (
            told_by_propensities(rows, world, options.rounds),
            earned_by_default(rows, world),
        )
        result[name] = {"policies": found, "default_earns": true, "log_says": told.dr.value}
        print(f"{name}: {len(rows) // 2} asked, {options.orders} orders")
        for policy, row in found.items():
            print(
                f"  {policy:<40} right {row['right']:.3f}, of the first {FIRST} "
                f"{row['right_first']:.3f}; default taken {row['default_taken']:.3f}"
            )
        print(
            f"  the log of a learner (epsilon {EPSILON:g}) says of the defaults {told.dr.value:.3f} "
            f"({told.dr.low:.3f} to {told.dr.high:.3f}); they earn {true:.3f}"
        )
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
