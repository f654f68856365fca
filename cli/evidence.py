"""What is recorded of a rollout, and ``sluice explain``: why each decision was taken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.console import Console

from activities.errors import EffectError
from activities.journal import merged, recorded_checks, recorded_events, recorded_findings
from activities.ledger import PostgresLedger
from cli.context import Context
from cli.errors import CliError, Exit
from cli.explanation import as_document, show
from cli.output import Json, answer, say
from cli.rollouts import PREFIX, Rollouts
from rollout.explain import Explained, Judged, explain
from rollout.state import State
from workflows.models import workflow_id

Id = Annotated[
    str | None,
    typer.Argument(help="A flag, or a rollout's id; without one, the rollout that ran last."),
]
TEMPORAL_SECONDS = 5


def explain_rollout(
    rollout: Id = None,
    step: Annotated[str, typer.Option(help="Only decisions of this step.")] = "",
    last: Annotated[int, typer.Option(min=0, help="Only the last so many; 0: all.")] = 0,
    json: Json = False,
) -> None:
    """Explain each decision: reading, threshold, samples, window and rule, from the ledger.

    Works without Temporal, and years after the rollout. Exit code: 4 when nothing is recorded.
    """
    asyncio.run(_explain(rollout, step, last, json))


async def _explain(rollout: str | None, step: str, last: int, json: bool) -> None:
    context = Context.read()
    async with opened_ledger(context) as ledger:
        rollout_id = await recorded_id(ledger, rollout)
        decisions = await _decisions(ledger, rollout_id, await live_state(context, rollout_id))
    chosen = [one for one in decisions if not step or one.step == step][-last:]
    if json:
        document = {"rollout": rollout_id, "decisions": [as_document(one) for one in chosen]}
        answer(True, document, "")
    else:
        show(Console(), rollout_id, chosen)


async def _decisions(
    ledger: PostgresLedger, rollout_id: str, state: State | None
) -> tuple[Explained, ...]:
    events = merged(
        await recorded_events(ledger, rollout_id), state.timeline if state is not None else ()
    )
    checks = [
        Judged(check=record.check, gates=record.gates, metrics=record.metrics)
        for record in await recorded_checks(ledger, rollout_id)
    ]
    return explain(events, checks, await recorded_findings(ledger, rollout_id))


async def live_state(context: Context, rollout_id: str) -> State | None:
    """The state of exactly this rollout, when its workflow answers."""
    flag = rollout_id.removeprefix(PREFIX).partition("/")[0]
    try:
        async with asyncio.timeout(TEMPORAL_SECONDS):
            state = await Rollouts(await context.temporal()).state(flag)
    except (CliError, TimeoutError) as error:
        say(f"from the ledger alone: {error or 'Temporal takes too long'}")
        return None
    return state if state.rollout_id == rollout_id else None


async def recorded_id(ledger: PostgresLedger, rollout: str | None) -> str:
    if rollout is not None and "/" in rollout:
        return rollout
    flag = (rollout or "").removeprefix(PREFIX)
    found = await ledger.latest(f"{workflow_id(flag)}/" if flag else PREFIX)
    if found is None:
        what = f"of a rollout of {flag}" if flag else "of any rollout"
        raise CliError(f"The ledger holds nothing {what}; see `sluice list`.", Exit.NOT_FOUND)
    return found


@asynccontextmanager
async def opened_ledger(context: Context) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(context.postgres_dsn)
    try:
        yield ledger
    except EffectError as error:
        raise CliError(f"{error}. Set POSTGRES_DSN, or `sluice up`.", Exit.UNREACHABLE) from error
    finally:
        await ledger.close()
