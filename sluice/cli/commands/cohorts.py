"""The command ``sluice cohorts``: the cohorts' new users beside the promised share, part by part."""

import asyncio
from datetime import UTC, datetime

import typer

from sluice.cli.clients.cohort_counts import fetch_splits
from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import FlagArgument
from sluice.cli.output import JsonOption, print_result
from sluice.rollout.review.cohort_split import sample_ratio_metric, shared_spans, unlike_splits


def compare_cohorts(flag: FlagArgument = None, json: JsonOption = False) -> None:
    """Compare the cohorts' new users with the promised share: by step, by process, by hour first seen.

    It finds where a sample-ratio mismatch comes from. Exit code: 1 when a part is unlike the promise.
    """
    asyncio.run(_compare_cohorts(flag, json))


async def _compare_cohorts(flag: str | None, json: bool) -> None:
    context = Context.read()
    rollouts = Rollouts(await context.connect_temporal())
    state = await rollouts.fetch_state(await rollouts.resolve_flag(flag))
    metric, spans = sample_ratio_metric(state), list(shared_spans(state, datetime.now(UTC)))
    if metric is None:
        raise CliError("The plan has no metric with `test: sample_ratio`.", Exit.NOT_FOUND)
    if not spans:
        raise CliError("No share of users has had the treatment yet.", Exit.NOT_FOUND)
    splits = await fetch_splits(context, metric, spans)
    unlike = unlike_splits(splits)
    document = {
        "splits": [split.model_dump(mode="json") | {"chance": split.chance} for split in splits],
        "unlike": [f"{split.by} {split.name}" for split in unlike],
    }
    lines = [f"{'! ' if split in unlike else '  '}{split.text}" for split in splits]
    end = f"{len(unlike)} of {len(splits)} parts are unlike the promise" + (
        " (!)" if unlike else ""
    )
    print_result(json, document, "\n".join([*lines, end]))
    if unlike:
        raise typer.Exit(Exit.FAILED)
