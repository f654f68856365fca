"""The command ``sluice simulate``: thousands of random rollouts, checked against the invariants."""

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
    runs: Annotated[int, typer.Option(min=1, max=RUNS_MAX, help="Number of seeds.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1,
    json: JsonOption = False,
) -> None:
    """Generate plans, faults, commands and crashes at random, and check every rollout's invariants.

    Runs on the pure core without a server. With --runs 1 it prints the rollout's whole trace.
    Exit code: 1 for a violation; the command that replays it is printed.
    """
    ends: Counter[str] = Counter()
    violations = []
    for result in _run_seeds(seed, runs):
        ends[result.status] += 1
        violations += [result] if result.violation else []
        if runs == 1:
            print_note("\n".join(result.trace))
    document = {
        "runs": runs,
        "seed": seed,
        "ends": dict(ends),
        "violations": [
            {"seed": result.seed, "rule": result.violation, "trace": result.trace}
            for result in violations
        ],
    }
    print_result(json, document, simulation_text(runs, ends, violations))
    raise typer.Exit(Exit.FAILED if violations else Exit.OK)


def _run_seeds(seed: int, runs: int) -> Iterator[SimulationResult]:
    for number in range(runs):
        if number and number % PROGRESS_EVERY == 0:
            print_note(f"  {number}/{runs}")
        yield simulated(seed + number)


def simulation_text(runs: int, ends: Counter[str], violations: list[SimulationResult]) -> str:
    """Return the result for people: the first violation with its trace, and each replay command."""
    endings = ", ".join(f"{count} {status}" for status, count in ends.most_common())
    lines = [f"{runs} rollouts: {endings}"]
    if not violations:
        return f"{lines[0]}; every invariant held"
    lines += ["", *violations[0].trace, ""]
    lines += [
        f"VIOLATION in seed {result.seed}: {result.violation}\n  {replay_command(result.seed)}"
        for result in violations
    ]
    return "\n".join(lines)


def replay_command(seed: int) -> str:
    """Return the command that replays the same rollout."""
    return f"sluice simulate --runs 1 --seed {seed}"
