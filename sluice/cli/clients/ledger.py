"""Client of the ledger: the newest rollout of a flag, and the state of a running one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.errors import EffectError
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import print_note
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import State
from workflows.models import ROLLOUT_ID_PREFIX, workflow_id

if TYPE_CHECKING:
    from sluice.stack import Stack

TEMPORAL_TIMEOUT_SECONDS = 5


async def create_ledger(stack: "Stack") -> None:
    """Create the table in the stack's own Postgres, as the owner whom no process knows.

    Raises:
        CliError: UNREACHABLE.
    """
    from sluice.stack.services import postgres_roles as roles  # noqa: PLC0415  the extra `stack`

    if environment := stack.ledger_environment(roles.OWNER):
        async with open_ledger(Context(environment)) as ledger:
            await ledger.grant((roles.WRITER,), (roles.READER,))


async def fetch_live_state(
    context: Context, rollout_id: str, recorded: Sequence[Event] = ()
) -> State | None:
    """Return the state of exactly this rollout while it runs, or None.

    The ledger has everything about a rollout whose end it recorded: Temporal's client, which is
    slow to load, has nothing to add.
    """
    if any(event.kind == "end" for event in recorded):
        return None
    state = await fetch_latest_state(context, rollout_id)
    return state if state is not None and state.rollout_id == rollout_id else None


async def fetch_latest_state(context: Context, rollout_id: str) -> State | None:
    """Return the state of the latest rollout of this one's flag that Temporal has, or None."""
    flag = rollout_id.removeprefix(ROLLOUT_ID_PREFIX).partition("/")[0]
    try:
        async with asyncio.timeout(TEMPORAL_TIMEOUT_SECONDS):
            client = await context.connect_temporal()
            from sluice.cli.clients.rollouts import Rollouts  # noqa: PLC0415  Temporal: slow

            return await Rollouts(client).fetch_state(flag)
    except (CliError, TimeoutError) as error:
        print_note(f"from the ledger alone: {error or 'Temporal takes too long'}")
        return None


async def resolve_rollout_id(ledger: PostgresLedger, rollout: str | None) -> str:
    if rollout is not None and "/" in rollout:
        return rollout
    flag = (rollout or "").removeprefix(ROLLOUT_ID_PREFIX)
    rollout_id = await ledger.latest_rollout_id(
        f"{workflow_id(flag)}/" if flag else ROLLOUT_ID_PREFIX
    )
    if rollout_id is None:
        scope = f"of a rollout of {flag}" if flag else "of any rollout"
        raise CliError(f"The ledger has no entry {scope}; see `sluice list`.", Exit.NOT_FOUND)
    return rollout_id


@asynccontextmanager
async def open_ledger(context: Context) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(context.ledger_dsn)
    try:
        yield ledger
    except EffectError as error:
        raise CliError(f"{error}. Set POSTGRES_DSN, or `sluice up`.", Exit.UNREACHABLE) from error
    finally:
        await ledger.close()
