"""Our LinUCB beside MABWiser's and River's: time per select and update, cumulative regret.

Every bandit sees the same contexts and the same rewards (a table drawn beforehand), at d = 32 and
384. A peer that is not installed is named as missing; a peer that runs out of its time is cut off
and compared over the steps it managed. ``--json`` prints one JSON document instead.
"""

import argparse
import importlib
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from router.learning.linucb import LinUCB

ARMS = tuple(str(number) for number in range(5))
ALPHA = 0.5
NOISE = 0.1
MICROSECONDS = 1e6


class Bandit(Protocol):
    def select(self, context: NDArray[np.float64]) -> int: ...

    def update(self, arm: int, context: NDArray[np.float64], reward: float) -> None: ...


class SluiceBandit:
    def __init__(self, dimension: int) -> None:
        self._model = LinUCB(ARMS, dimension, ALPHA)
        self._rng = np.random.default_rng(0)

    def select(self, context: NDArray[np.float64]) -> int:
        return int(self._model.select(context, self._rng).arm)

    def update(self, arm: int, context: NDArray[np.float64], reward: float) -> None:
        self._model.update(ARMS[arm], context, reward)


class MabWiserBandit:
    def __init__(self, dimension: int) -> None:
        mab = importlib.import_module("mabwiser.mab")
        self._mab: Any = mab.MAB(list(range(len(ARMS))), mab.LearningPolicy.LinUCB(alpha=ALPHA))
        self._mab.fit([0], [0.0], np.zeros((1, dimension)))

    def select(self, context: NDArray[np.float64]) -> int:
        return int(self._mab.predict(context[None, :]))

    def update(self, arm: int, context: NDArray[np.float64], reward: float) -> None:
        self._mab.partial_fit([arm], [reward], context[None, :])


class RiverBandit:
    """LinUCBDisjoint has no α: it adds one standard deviation of its own posterior.

    It takes contexts as dicts; building them is not counted against it (see ``measure``).
    """

    def __init__(self, _dimension: int) -> None:
        self._policy: Any = importlib.import_module("river.bandit").LinUCBDisjoint(seed=0)

    def select(self, context: NDArray[np.float64]) -> int:
        return int(self._policy.pull(list(range(len(ARMS))), context=context))

    def update(self, arm: int, context: NDArray[np.float64], reward: float) -> None:
        self._policy.update(arm, context, reward)


@dataclass(frozen=True)
class RewardTable:
    """Contexts (steps, d), every arm's mean reward and its drawn reward (steps, arms)."""

    contexts: NDArray[np.float64]
    means: NDArray[np.float64]
    rewards: NDArray[np.float64]


@dataclass(frozen=True)
class BanditFigures:
    bandit: str
    dimension: int
    steps: int
    select_us: float
    update_us: float
    regret: float
    regret_ours: float
    """Ours over the same first ``steps``."""


@dataclass(frozen=True)
class BanditRun:
    select_us: float
    update_us: float
    regrets: NDArray[np.float64]


def draw_rewards(dimension: int, steps: int, seed: int) -> RewardTable:
    rng = np.random.default_rng(seed)
    contexts = rng.normal(size=(steps, dimension)) / np.sqrt(dimension)
    means = 0.5 + 0.2 * contexts @ rng.normal(size=(dimension, len(ARMS)))
    return RewardTable(contexts, means, means + NOISE * rng.normal(size=means.shape))


def measure(bandit: Bandit, table: RewardTable, seconds: float) -> BanditRun:
    selects, updates, regrets = [], [], []
    deadline = time.monotonic() + seconds
    for context, means, rewards in zip(table.contexts, table.means, table.rewards, strict=True):
        given: Any = (
            dict(enumerate(context.tolist())) if isinstance(bandit, RiverBandit) else context
        )
        start = time.perf_counter()
        arm = bandit.select(given)
        chosen = time.perf_counter()
        bandit.update(arm, given, float(rewards[arm]))
        selects.append(chosen - start)
        updates.append(time.perf_counter() - chosen)
        regrets.append(float(means.max() - means[arm]))
        if time.monotonic() > deadline:
            break
    return BanditRun(
        statistics.median(selects) * MICROSECONDS,
        statistics.median(updates) * MICROSECONDS,
        np.cumsum(regrets),
    )


def installed_peers() -> tuple[dict[str, Callable[[int], Bandit]], list[str]]:
    """Return the installed peers, and the names of the missing ones."""
    known: dict[str, tuple[str, Callable[[int], Bandit]]] = {
        "MABWiser": ("mabwiser", MabWiserBandit),
        "River": ("river", RiverBandit),
    }
    found = {
        name: make for name, (module, make) in known.items() if importlib.util.find_spec(module)
    }
    return found, [name for name in known if name not in found]


def compare(
    dimension: int, steps: int, seeds: Iterable[int], seconds: float
) -> list[BanditFigures]:
    found, _ = installed_peers()
    makers: dict[str, Callable[[int], Bandit]] = {"ours": SluiceBandit, **found}
    rows: dict[str, list[tuple[BanditRun, BanditRun]]] = {name: [] for name in makers}
    for seed in seeds:
        scene = draw_rewards(dimension, steps, seed)
        runs = {name: measure(make(dimension), scene, seconds) for name, make in makers.items()}
        for name, run in runs.items():
            rows[name].append((run, runs["ours"]))
    return [_figures(name, dimension, pairs) for name, pairs in rows.items()]


def _figures(name: str, dimension: int, pairs: list[tuple[BanditRun, BanditRun]]) -> BanditFigures:
    steps = min(min(len(run.regrets), len(ours.regrets)) for run, ours in pairs)
    return BanditFigures(
        name,
        dimension,
        steps,
        select_us=round(statistics.median(run.select_us for run, _ in pairs), 1),
        update_us=round(statistics.median(run.update_us for run, _ in pairs), 1),
        regret=round(statistics.mean(float(run.regrets[steps - 1]) for run, _ in pairs), 2),
        regret_ours=round(statistics.mean(float(o.regrets[steps - 1]) for _, o in pairs), 2),
    )


def headline(rows: list[BanditFigures]) -> str:
    own = [row for row in rows if row.bandit == "ours"]
    parts = [f"{row.select_us:g}/{row.update_us:g} µs at d={row.dimension}" for row in own]
    others = [row for row in rows if row.bandit != "ours"]
    if not others:
        return f"ours select/update: {', '.join(parts)}; no peer installed, nothing compared"
    faster = min(
        (peer.select_us + peer.update_us) / (row.select_us + row.update_us)
        for peer in others
        for row in own
        if row.dimension == peer.dimension
    )
    worse = max(peer.regret_ours / peer.regret for peer in others)
    return (
        f"ours select/update: {', '.join(parts)}; {faster:.1f} × or more below every peer;"
        f" regret at most {worse:.3f} × a peer's"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="limit per bandit and seed")
    arguments = parser.parse_args()
    rows = [
        row
        for dimension in (32, 384)
        for row in compare(dimension, arguments.steps, range(arguments.seeds), arguments.seconds)
    ]
    if arguments.json:
        found = {"rows": [asdict(row) for row in rows], "missing": installed_peers()[1]}
        print(json.dumps({**found, "headline": headline(rows)}))
        return
    for row in rows:
        print(
            f"d={row.dimension:<4} {row.bandit:<9} select {row.select_us:>9} µs"
            f"  update {row.update_us:>9} µs  regret {row.regret:>8} over {row.steps} steps"
            f" (ours {row.regret_ours})"
        )
    for name in installed_peers()[1]:
        print(f"not installed, not compared: {name}")
    print(headline(rows))


if __name__ == "__main__":
    main()
