"""``sluice simulate``: thousands of drawn rollouts, and the rules that none of them may break."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer

from cli.errors import Exit
from cli.output import Json, answer, say
from rehearsal.simulated_world import Simulated
from rehearsal.simulation import simulate as simulated

RUNS_MAX = 1_000_000
TOLD_EVERY = 500


def simulate(
    runs: Annotated[int, typer.Option(min=1, max=RUNS_MAX, help="So many seeds.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 1,
    json: Json = False,
) -> None:
    """Draw plans, faults, commands and crashes at random, and hold every rollout to its invariants.

    By the pure core: no server is needed. With --runs 1 it prints the rollout's whole trail.
    Exit code: 1 when a rule was broken; the command that replays it is printed.
    """
    ends: Counter[str] = Counter()
    broken = []
    for one in _simulated(seed, runs):
        ends[one.status] += 1
        broken += [one] if one.broken else []
        if runs == 1:
            say("\n".join(one.trail))
    document = {
        "runs": runs,
        "seed": seed,
        "ends": dict(ends),
        "broken": [{"seed": one.seed, "rule": one.broken, "trail": one.trail} for one in broken],
    }
    answer(json, document, text(runs, ends, broken))
    raise typer.Exit(Exit.FAILED if broken else Exit.OK)


def _simulated(seed: int, runs: int) -> Iterator[Simulated]:
    for number in range(runs):
        if number and number % TOLD_EVERY == 0:
            say(f"  {number}/{runs}")
        yield simulated(seed + number)


def text(runs: int, ends: Counter[str], broken: list[Simulated]) -> str:
    """The result for people: the first broken one with its trail, all with their replay."""
    told = ", ".join(f"{count} {status}" for status, count in ends.most_common())
    lines = [f"{runs} rollouts: {told}"]
    if not broken:
        return f"{lines[0]}; no rule was broken"
    lines += ["", *broken[0].trail, ""]
    lines += [f"BROKEN in seed {one.seed}: {one.broken}\n  {replay(one.seed)}" for one in broken]
    return "\n".join(lines)


def replay(seed: int) -> str:
    """The one command that shows the same rollout again."""
    return f"sluice simulate --runs 1 --seed {seed}"
