"""``sluice simulate``: thousands of drawn rollouts, and the rules that none of them may break."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer

from sluice.cli.errors import Exit
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.rehearsal.simulation.simulator import simulate as simulated
from sluice.rehearsal.simulation.world import SimulationResult

RUNS_MAX = 1_000_000
PROGRESS_EVERY = 500


def simulate(
    runs: Annotated[int, typer.Option(min=1, max=RUNS_MAX, help="So many seeds.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 1,
    json: JsonOption = False,
) -> None:
    """Draw plans, faults, commands and crashes at random, and hold every rollout to its invariants.

    By the pure core: no server is needed. With --runs 1 it prints the rollout's whole trail.
    Exit code: 1 when a rule was broken; the command that replays it is printed.
    """
    ends: Counter[str] = Counter()
    broken = []
    for one in _run_seeds(seed, runs):
        ends[one.status] += 1
        broken += [one] if one.violation else []
        if runs == 1:
            print_note("\n".join(one.trace))
    document = {
        "runs": runs,
        "seed": seed,
        "ends": dict(ends),
        "violations": [
            {"seed": one.seed, "rule": one.violation, "trace": one.trace} for one in broken
        ],
    }
    print_result(json, document, simulation_text(runs, ends, broken))
    raise typer.Exit(Exit.FAILED if broken else Exit.OK)


def _run_seeds(seed: int, runs: int) -> Iterator[SimulationResult]:
    for number in range(runs):
        if number and number % PROGRESS_EVERY == 0:
            print_note(f"  {number}/{runs}")
        yield simulated(seed + number)


def simulation_text(runs: int, ends: Counter[str], broken: list[SimulationResult]) -> str:
    """The result for people: the first broken one with its trail, all with their replay."""
    told = ", ".join(f"{count} {status}" for status, count in ends.most_common())
    lines = [f"{runs} rollouts: {told}"]
    if not broken:
        return f"{lines[0]}; no rule was broken"
    lines += ["", *broken[0].trace, ""]
    lines += [
        f"BROKEN in seed {one.seed}: {one.violation}\n  {replay_command(one.seed)}"
        for one in broken
    ]
    return "\n".join(lines)


def replay_command(seed: int) -> str:
    """The one command that shows the same rollout again."""
    return f"sluice simulate --runs 1 --seed {seed}"
