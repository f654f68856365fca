"""CPU time of evaluating one 25 % flag: Sluice beside a bare hash and the SDKs others ship.

All run in one process, in turns, over the same 10,000 users; the best round of each counts, the
loop's own cost is included everywhere. "first sight" is Sluice on users it has not yet met since
the last change of the document; "bare hash" is a function that hashes `flag:user` and no more.

    uv run --group bench python -m benchmarks.flags [--rounds 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.no_op_provider import NoOpProvider

from benchmarks.support.flags_peers import FLAG, PEERS, Evaluate
from sluice.flags import FlagDocument, FlagState, FlagView
from sluice.flags.bucketing import sluice_bucket
from sluice.flags.openfeature import SluiceProvider

USERS = [f"user_{number:07d}" for number in range(10_000)]
DOCUMENT = FlagDocument(version=1, flags={FLAG: FlagState(name=FLAG, rollout_percentage=25)})
BARE, OURS, FIRST_SIGHT = "bare hash", "Sluice", "Sluice, first sight"
NO_OP, OURS_OPENFEATURE = "OpenFeature + no-op", "OpenFeature + Sluice"
HASH_RATIO_BAR, OPENFEATURE_RATIO_BAR = 1.3, 1.5


class FreshView(FlagView):
    """A view as a reader keeps it, with a lease that lasts the benchmark."""

    def __init__(self) -> None:
        super().__init__()
        self.reinstall()

    def reinstall(self) -> None:
        """Install the document again, as after a change."""
        self._install(DOCUMENT)
        self._renew(time.monotonic(), math.inf)


def through_openfeature(domain: str) -> Evaluate:
    """Evaluate through the SDK's client of that domain, with a context for each user."""
    client = api.get_client(domain)
    return lambda user: client.get_boolean_value(FLAG, False, EvaluationContext(targeting_key=user))


def contenders() -> tuple[dict[str, Evaluate], dict[str, str]]:
    """Return what can be measured here, and why the rest cannot."""
    view = FreshView()
    api.set_provider(NoOpProvider(), "no-op")
    api.set_provider(SluiceProvider(view), "sluice")
    able: dict[str, Evaluate] = {
        BARE: lambda user: sluice_bucket(FLAG, user),
        OURS: lambda user: view.evaluate(FLAG, user),
        NO_OP: through_openfeature("no-op"),
        OURS_OPENFEATURE: through_openfeature("sluice"),
    }
    unable: dict[str, str] = {}
    for name, build in PEERS.items():
        try:
            able[name] = build()
            share = sum(_is_on(able[name](user)) for user in USERS) / len(USERS)
            assert 0.2 < share < 0.3, f"treats {share:.0%} of the users, not 25 %"  # noqa: PLR2004
        except Exception as error:  # noqa: BLE001 - a peer that fails must not end the run
            able.pop(name, None)
            unable[name] = f"{type(error).__name__}: {error}"
    return able, unable


def _is_on(value: object) -> bool:
    return value is True


def cpu_ns(evaluate: Evaluate, before: Callable[[], None] | None = None) -> float:
    """Return the CPU nanoseconds of one evaluation, over all users."""
    if before:
        before()
    began = time.process_time_ns()
    for user in USERS:
        evaluate(user)
    return (time.process_time_ns() - began) / len(USERS)


def measure(rounds: int) -> tuple[dict[str, float], dict[str, str]]:
    """Return the best round of each contender in ns."""
    able, unable = contenders()
    cold = FreshView()
    best = dict.fromkeys([*able, FIRST_SIGHT], math.inf)
    for _ in range(rounds):
        for name, evaluate in able.items():
            best[name] = min(best[name], cpu_ns(evaluate))
        first = cpu_ns(lambda user: cold.evaluate(FLAG, user), cold.reinstall)
        best[FIRST_SIGHT] = min(best[FIRST_SIGHT], first)
    return best, unable


def main() -> int:
    """Print the table; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="evaluation cost of a 25 % flag")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    best, unable = measure(arguments.rounds)
    hash_ratio = best[OURS] / best[BARE]
    openfeature_ratio = best[OURS_OPENFEATURE] / best[NO_OP]
    peers = {name: ns for name, ns in best.items() if name in PEERS}
    for name, ns in sorted(best.items(), key=lambda item: item[1]):
        print(f"{name:24} {ns:10.0f} ns   {ns / best[BARE]:8.2f} x bare hash")
    for name, reason in unable.items():
        print(f"{name:24} not measured: {reason}")
    if arguments.json:
        figures = {"cpu_ns": best, "not_measured": unable, "users": len(USERS)}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    fastest = min(peers, key=lambda name: peers[name]) if peers else "no peer measured"
    print(
        f"Sluice {best[OURS]:.0f} ns = {hash_ratio:.2f} x bare hash (bar {HASH_RATIO_BAR}); "
        f"through OpenFeature {openfeature_ratio:.2f} x its no-op (bar {OPENFEATURE_RATIO_BAR}); "
        f"best peer {fastest} {peers.get(fastest, math.nan):.0f} ns"
    )
    beaten = all(best[OURS] < ns for ns in peers.values())
    good = hash_ratio <= HASH_RATIO_BAR and openfeature_ratio <= OPENFEATURE_RATIO_BAR and beaten
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
