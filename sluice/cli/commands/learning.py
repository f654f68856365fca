"""The commands ``sluice learning``: the learner's reward beside that of other policies."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table
from rich.text import Text

from router.learning import LearningError, NoEvidenceError, UnknownVersionError
from router.learning.off_policy import EFFECTIVE_SAMPLES_MIN, Interval
from sluice.cli.clients.flags import redis_connection
from sluice.cli.clients.policy_comparison import EvaluateOptions, PolicyComparison, compare_policies
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_note, print_result

app = typer.Typer(
    help="Compare the online learner's reward with that of other policies.",
    no_args_is_help=True,
)


@app.callback()
def _learning() -> None:
    """Compare the online learner's reward with that of other policies."""


@app.command()
def evaluate(
    alpha: Annotated[
        list[float] | None, typer.Option(help="Exploration of a learner to compare; repeatable.")
    ] = None,
    version: Annotated[
        list[int] | None,
        typer.Option(help="A stored version of the weights, unchanged; repeatable."),
    ] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Always this arm; repeatable.")] = None,
    epsilon: Annotated[
        float, typer.Option(min=0, max=1, help="Share of uniform exploration.")
    ] = 0.05,
    json: JsonOption = False,
) -> None:
    """Estimate from the log the reward of another α, of earlier weights or of the old policy.

    Estimates of the mean reward per feedback, 0 to 1: doubly robust with its 95 % interval, and for
    comparison SNIPS and IPS (all intervals with --json). `samples` are effective samples: the
    evidence that the log has of a policy. The warm start, the policy before learning, is always shown.
    """
    if wrong := [value for value in alpha or () if not (math.isfinite(value) and value >= 0)]:
        raise CliError(f"--alpha {wrong[0]}: expected a finite number of 0 or more.", Exit.USAGE)
    options = EvaluateOptions(
        tuple(alpha or (0.0, 0.5, 1.0)), tuple(version or ()), tuple(arm or ()), epsilon
    )

    async def run() -> None:
        context = Context.read()
        async with _learning_redis(context) as redis:
            comparison = await compare_policies(redis, context.environment_name, options)
        if json:
            print_result(True, _comparison_document(comparison), "")
            return
        Console().print(_comparison_table(comparison))
        _print_warnings(comparison)

    asyncio.run(run())


@asynccontextmanager
async def _learning_redis(context: Context) -> AsyncIterator[Redis]:
    async with redis_connection(context.redis_url) as redis:
        try:
            yield redis
        except (NoEvidenceError, UnknownVersionError) as error:
            raise CliError(str(error), Exit.NOT_FOUND) from error
        except LearningError as error:
            raise CliError(str(error)) from error


def _comparison_document(comparison: PolicyComparison) -> dict[str, Any]:
    rows = [
        {"policy": row.policy, "trusted": row.estimate.is_reliable, **asdict(row.estimate)}
        for row in comparison.rows
    ]
    logged = {name: {"samples": n, **asdict(mean)} for name, (n, mean) in comparison.logged.items()}
    return {"logged": logged, "policies": rows, "not_estimable": comparison.not_estimable}


def _comparison_table(comparison: PolicyComparison) -> Table:
    table = Table("policy", "reward [95 %]", "SNIPS", "IPS", "samples")
    for name, (samples, mean) in comparison.logged.items():
        table.add_row(f"{name}, as logged", _interval(mean), "", "", str(samples), style="bold")
    for row in comparison.rows:
        estimate = row.estimate
        samples_cell = Text(
            f"{estimate.effective_samples:.0f}", style="" if estimate.is_reliable else "red"
        )
        importance_cells = (f"{estimate.snips.value:.3f}", f"{estimate.ips.value:.3f}")
        table.add_row(
            row.policy,
            _interval(estimate.dr),
            *importance_cells,
            samples_cell,
            style="" if estimate.is_reliable else "dim",
        )
    return table


def _interval(mean: Interval) -> str:
    return f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]"


def _print_warnings(comparison: PolicyComparison) -> None:
    doubtful: Sequence[str] = [
        row.policy for row in comparison.rows if not row.estimate.is_reliable
    ]
    if doubtful:
        print_note(
            f"not reliable, the log has too little evidence of them (fewer than {EFFECTIVE_SAMPLES_MIN:.0f}"
            f" effective samples): {', '.join(doubtful)}"
        )
    for policy, reason in comparison.not_estimable.items():
        print_note(f"{policy}: {reason}")
