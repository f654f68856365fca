"""``sluice ledger``: the table of evidence and the database roles that may use it."""

import asyncio
from typing import Annotated

import typer

from sluice.cli.clients.ledger import open_ledger
from sluice.cli.context import Context
from sluice.cli.output import JsonOption, print_result

app = typer.Typer(help="The ledger's table and its database roles.", no_args_is_help=True)
WriterOption = Annotated[
    list[str] | None, typer.Option("--writer", help="A role that may add and read: the worker's.")
]
ReaderOption = Annotated[
    list[str] | None,
    typer.Option("--reader", help="A role that may read: the console's, people's."),
]


@app.callback()
def ledger() -> None:
    """Keep `grant` a subcommand."""


@app.command()
def grant(
    writer: WriterOption = None, reader: ReaderOption = None, json: JsonOption = False
) -> None:
    """Create the table as the role of SLUICE_LEDGER_DSN, and let existing roles use it.

    The owner can switch the triggers off, the writers and readers cannot. Run it as a role that no
    process uses.
    """
    writers, readers = writer or [], reader or []

    async def run() -> None:
        async with open_ledger(Context.read()) as ledger:
            await ledger.grant(writers, readers)

    asyncio.run(run())
    text = f"sluice_ledger: {', '.join(writers) or 'nobody'} may add, {', '.join(readers) or 'nobody else'} may read"
    print_result(json, {"writers": writers, "readers": readers}, text)
