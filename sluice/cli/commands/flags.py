"""The commands ``sluice flags``: show feature flags and change them by hand. They need Redis only."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.console import Console

from sluice.cli.clients.flags import FlagClient, flag_client, parse_percentage
from sluice.cli.commands.flags_server import key, serve
from sluice.cli.commands.switches.phases import phases
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import JsonOption, print_note, print_result
from sluice.cli.views.flags import (
    assignment_line,
    audit_entry_document,
    flag_details,
    flag_document,
    flags_table,
    history_table,
    process_document,
    user_assignment,
    user_list,
)
from sluice.cli.views.flags_watch import watch_flags
from sluice.flags import FlagState, WriteMetadata

app = typer.Typer(
    help="Show feature flags and change them by hand; needs Redis only, not Temporal.",
    no_args_is_help=True,
)
app.command()(serve)
app.command()(key)

app.command()(phases)

FlagNameArgument = Annotated[str, typer.Argument(metavar="FLAG", help="The flag's name.")]
HistoryReasonOption = Annotated[
    str, typer.Option("--reason", "-m", help="The reason, kept in the flag's history.")
]
# Click takes -1 for an option; its error then does not mention percentages.
NUMBERS_MAY_BE_NEGATIVE = {"ignore_unknown_options": True}
FlagEdit = Callable[[FlagClient, WriteMetadata], Awaitable[FlagState]]


@app.command("list")
def list_flags(json: JsonOption = False) -> None:
    """List all flags as stored."""

    async def run() -> None:
        async with flag_client(Context.read()) as session:
            document = await session.flags.document()
        if json:
            flags = [flag_document(document.flags[name]) for name in sorted(document.flags)]
            phases = document.phases.model_dump()
            print_result(True, {"version": document.version, "phases": phases, "flags": flags}, "")
        else:
            Console().print(flags_table(document))

    asyncio.run(run())


@app.command()
def show(
    name: FlagNameArgument,
    user: Annotated[str, typer.Option(help="Also show this user's variant and its reason.")] = "",
    json: JsonOption = False,
) -> None:
    """Show one flag, and the state that each live process serves."""

    async def run() -> None:
        async with flag_client(Context.read()) as session:
            flag = await session.flags.get_flag(name)
            views = await session.poll_processes()
        assignment = user_assignment(flag, user) if user else None
        if json:
            processes = [process_document(view) for view in views]
            print_result(
                True, {**flag_document(flag), "processes": processes, "user": assignment}, ""
            )
            return
        Console().print(flag_details(flag, views))
        if assignment:
            print(assignment_line(assignment))

    asyncio.run(run())


@app.command()
def create(
    name: FlagNameArgument,
    description: Annotated[str, typer.Option(help="The feature that the flag turns on.")] = "",
    percentage: Annotated[str, typer.Option(help="Share of users to begin with.")] = "0",
    reason: HistoryReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Create a flag. An equal definition changes nothing; a different one is refused."""
    share = parse_percentage(percentage)
    _apply_edit(
        lambda session, change: session.flags.create_flag(
            name, description, rollout_percentage=share, metadata=change
        ),
        reason,
        json,
    )


@app.command("set", context_settings=NUMBERS_MAY_BE_NEGATIVE)
def set_percentage(
    name: FlagNameArgument,
    percentage: Annotated[str, typer.Argument(help="0 to 100, at most two decimals.")],
    reason: HistoryReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Set the share of treated users. While the flag is killed, only 0 is accepted."""
    share = parse_percentage(percentage)
    flag = _apply_edit(
        lambda session, change: session.flags.set_rollout_percentage(name, share, metadata=change),
        reason,
        json,
    )
    if flag.default_enabled and not flag.killed:
        print_note(
            f"{name} treats users outside the percentage too: `sluice flags kill {name}` ends that"
        )


@app.command()
def whitelist(  # noqa: PLR0913  two ways to change a list, and the usual options
    name: FlagNameArgument,
    user_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[USER]...", help="Users to add.")
    ] = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take the users off instead.")] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Make these users the whole list; without users, empty it."),
    ] = False,
    reason: HistoryReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Treat users regardless of the percentage. Without users: show the list."""
    if remove and replace:
        raise CliError("Give either --remove or --replace.", Exit.USAGE)
    if not user_ids and not replace:
        _print_whitelist(name, json)
        return
    users = user_ids or []

    def changed(session: FlagClient, change: WriteMetadata) -> Awaitable[FlagState]:
        flags = session.flags
        if replace:
            return flags.set_whitelist(name, users, metadata=change)
        if remove:
            return flags.edit_whitelist(name, remove=users, metadata=change)
        return flags.edit_whitelist(name, add=users, metadata=change)

    _apply_edit(changed, reason, json)


def _print_whitelist(name: str, json: bool) -> None:
    async def run() -> None:
        async with flag_client(Context.read()) as session:
            flag = await session.flags.get_flag(name)
        print_result(json, sorted(flag.whitelist), user_list(flag.whitelist))

    asyncio.run(run())


@app.command()
def kill(
    name: FlagNameArgument, reason: HistoryReasonOption = "", json: JsonOption = False
) -> None:
    """Turn the flag off for all users, the whitelist too, and refuse every raise until `unkill`."""
    _apply_edit(lambda session, change: session.flags.kill(name, metadata=change), reason, json)


@app.command()
def unkill(
    name: FlagNameArgument, reason: HistoryReasonOption = "", json: JsonOption = False
) -> None:
    """Clear the kill latch. The percentage stays 0 until it is set; the whitelist applies again."""
    _apply_edit(lambda session, change: session.flags.unkill(name, metadata=change), reason, json)


@app.command()
def sign(
    name: FlagNameArgument, reason: HistoryReasonOption = "", json: JsonOption = False
) -> None:
    """Sign the flag and the phases as they are stored, with the key in SLUICE_FLAGS_SIGNING_KEY."""
    _apply_edit(lambda session, change: session.flags.sign(name, metadata=change), reason, json)


@app.command()
def delete(
    name: FlagNameArgument, reason: HistoryReasonOption = "", json: JsonOption = False
) -> None:
    """Delete the flag, so that it is off everywhere. Refused while killed. Its history remains."""

    async def run() -> None:
        context = Context.read()
        async with flag_client(context) as session:
            change = WriteMetadata(actor=context.actor, reason=reason)
            await session.flags.delete_flag(name, metadata=change)
        print_result(json, {"flag": name, "deleted": True}, f"{name} is deleted: off for all users")

    asyncio.run(run())


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(metavar="[FLAG]", help="One flag only.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="Number of changes, newest first.")
    ] = 50,
    json: JsonOption = False,
) -> None:
    """Show each change with its time, actor and reason; of deleted flags too."""

    async def run() -> None:
        async with flag_client(Context.read()) as session:
            entries = await session.flags.history(name, limit)
        if json:
            print_result(True, [audit_entry_document(entry) for entry in entries], "")
        else:
            Console().print(history_table(entries))

    asyncio.run(run())


@app.command()
def watch(
    name: Annotated[str | None, typer.Argument(metavar="[FLAG]", help="One flag only.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after this time; 0: never.")] = 0,
    json: JsonOption = False,
) -> None:
    """Follow the flags, and the state that each process serves, until Ctrl-C.

    A terminal shows a live table, a pipe one line per change. --json prints one document per line.
    """
    asyncio.run(watch_flags(Context.read(), name, seconds, json))


def _apply_edit(edit: FlagEdit, reason: str, json: bool) -> FlagState:
    """Write the change, poll the routers and print both. Exit code 1 when a process may serve more."""

    async def run() -> FlagState:
        context = Context.read()
        async with flag_client(context) as session:
            flag = await edit(session, WriteMetadata(actor=context.actor, reason=reason))
            obeyed = await session.wait_until_propagated(flag)
        _warn_of_owner(flag)
        text = f"{_summary_text(flag)}; {obeyed.summary()}"
        print_result(json, {**flag_document(flag), "processes": obeyed.document()}, text)
        if not obeyed.is_certain:
            raise typer.Exit(Exit.FAILED)
        return flag

    return asyncio.run(run())


def _summary_text(flag: FlagState) -> str:
    if flag.killed:
        return f"{flag.name} is killed: 0 % for all users"
    whitelist_text = f" and {len(flag.whitelist)} whitelisted" if flag.whitelist else ""
    return f"{flag.name} is at {flag.rollout_percentage:g} %{whitelist_text}"


def _warn_of_owner(flag: FlagState) -> None:
    """Warn that a running rollout will set its own percentage again. Only the latch prevents that."""
    if flag.fence.owner is not None and not flag.killed:
        print_note(
            f"rollout run {flag.fence.owner} owns {flag.name} and may set its own percentage again:"
            f" use `sluice rollback`, `pause` or `abort` to steer it, `sluice kill` to stop it"
        )
