"""``sluice verify`` proves offline who decided what, ``sluice ledger grant`` who may write it down."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from activities.contract.ports import Ledger
from activities.contract.timeline_ledger import (
    merge_timelines,
    read_checked_events,
    read_evidence,
)
from sluice.cli.clients.ledger import fetch_latest_state, open_ledger, resolve_rollout_id
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import RolloutArgument
from sluice.cli.output import JsonOption, print_result
from sluice.identity import IdentityError, Keyring, read_keyring
from sluice.identity.audit import AuditedDecision, audit_decisions
from sluice.rollout.engine.event_chain import Event, EventChainError, verify_chain
from sluice.rollout.engine.evidence_chain import (
    EvidenceChainError,
    EvidenceRow,
    UnchainedEvidenceError,
    verify_evidence,
)
from sluice.rollout.engine.state import State
from sluice.rollout.units import format_count

KeyringOption = Annotated[
    Path | None,
    typer.Option(help="The keyring, to check every signature too; default: SLUICE_KEYRING."),
]
HeadOption = Annotated[
    str, typer.Option(help="The chain's head as a report shows it; default: the workflow's.")
]
app = typer.Typer(help="The ledger's table and its database roles.", no_args_is_help=True)
WriterOption = Annotated[
    list[str] | None, typer.Option("--writer", help="A role that may add and read: the worker's.")
]
ReaderOption = Annotated[
    list[str] | None,
    typer.Option("--reader", help="A role that may read: the console's, people's."),
]


def verify(
    rollout: RolloutArgument = None,
    keyring: KeyringOption = None,
    head: HeadOption = "",
    json: JsonOption = False,
) -> None:
    """Check the ledger's hash chains and every proof in it. Exit code 1 names the first bad entry.

    Covers the timeline, each check, the final state and the report. Needs only the ledger. With
    Temporal, or --head, missing last rows show too.
    """
    asyncio.run(_verify(rollout, keyring, head, json))


async def _verify(rollout: str | None, keyring: Path | None, head: str, json: bool) -> None:
    context = Context.read()
    async with open_ledger(context) as ledger:
        latest_recorded = await resolve_rollout_id(ledger, rollout)
        latest = await fetch_latest_state(context, latest_recorded)
        rollout_id = choose_rollout(rollout, latest_recorded, latest)
        recorded = await _read_recorded(ledger, rollout_id)
        rows = await read_evidence(ledger, rollout_id)
    state = latest if latest is not None and latest.rollout_id == rollout_id else None
    events = merge_timelines(recorded, state.timeline if state else ())
    unwritten = check_recorded(recorded, events, rollout_id)
    digest = _check_chain(events, rollout_id, head or _known_head(state))
    unconfirmed = _check_evidence(events, rows, state, rollout_id)
    decisions = await asyncio.to_thread(_check_proofs, context, keyring, events, rollout_id)
    document = {
        "rollout": rollout_id,
        "events": len(events),
        "head": digest,
        "evidence": {"rows": len(rows), "unconfirmed": unconfirmed},
        "decisions": [decision.model_dump(mode="json") for decision in decisions],
    }
    lines = [f"{decision.at:%Y-%m-%d %H:%M:%S} UTC  {decision.text}" for decision in decisions]
    evidence = f"{format_count(len(rows), 'row')} of evidence"
    if unconfirmed:
        evidence += f", {unconfirmed} of them newer than the last event"
    chain = f"{format_count(len(events), 'event')} in one chain"
    if unwritten:
        chain += f", {unwritten} of them not in the ledger yet"
    summary = f"{rollout_id}: {evidence}, {chain}, head {digest}"
    print_result(json, document, "\n".join([*lines, summary]))


async def _read_recorded(ledger: Ledger, rollout_id: str) -> list[Event]:
    try:
        return await read_checked_events(ledger, rollout_id)
    except EventChainError as error:
        raise _changed_record(rollout_id, error) from error


def choose_rollout(asked_for: str | None, latest_recorded: str, latest: State | None) -> str:
    """Return the rollout to verify: the one that was named, else the latest that Temporal has.

    The ledger alone would answer with an older rollout, or with an invented one, after the rows of
    the latest were removed.
    """
    is_named = asked_for is not None and "/" in asked_for
    return latest_recorded if is_named or latest is None else latest.rollout_id


def check_recorded(recorded: Sequence[Event], events: Sequence[Event], rollout_id: str) -> int:
    """Return how many of the newest events only the workflow has; after the end none may.

    The workflow's copy of an event must not replace a row that was removed.
    """
    _check_chain(recorded, rollout_id, "")
    unwritten = len(events) - len(recorded)
    if unwritten and events[-1].kind == "end":
        raise _changed_record(rollout_id, f"event {len(recorded) + 1} is not in the ledger")
    return unwritten


def _changed_record(rollout_id: str, problem: object) -> CliError:
    return CliError(f"The record of {rollout_id} was changed: {problem}")


def _known_head(state: State | None) -> str:
    return state.timeline[-1].digest if state and state.timeline else ""


def _check_chain(events: Sequence[Event], rollout_id: str, head: str) -> str:
    try:
        return verify_chain(events, rollout_id, head)
    except EventChainError as error:
        raise _changed_record(rollout_id, error) from error


def _check_evidence(
    events: Sequence[Event], rows: Sequence[EvidenceRow], state: State | None, rollout_id: str
) -> int:
    """Return how many rows the rollout has not confirmed yet; after its end each must be."""
    heads = [event.evidence for event in events]
    if state is not None:
        heads.append(state.evidence)
    try:
        unconfirmed = verify_evidence(rows, heads, rollout_id)
    except UnchainedEvidenceError as error:
        raise CliError(
            f"The evidence of {rollout_id} cannot be verified: {error}. A rollout that began under"
            " 0.2.0 has such rows; in a later one somebody else than the worker added it."
        ) from error
    except EvidenceChainError as error:
        raise CliError(f"The evidence of {rollout_id} was changed: {error}") from error
    if unconfirmed and events and events[-1].kind == "end" and events[-1].evidence.count:
        names = ", ".join(row.key for row in rows[-unconfirmed:])
        raise CliError(f"The evidence of {rollout_id} was changed: added after its end: {names}")
    return unconfirmed


def _check_proofs(
    context: Context, path: Path | None, events: tuple[Event, ...], rollout_id: str
) -> tuple[AuditedDecision, ...]:
    configured = context.environment.get("SLUICE_KEYRING")
    path = path or (Path(configured) if configured else None)
    try:
        return audit_decisions(events, rollout_id, _read_keyring(path) if path else None)
    except IdentityError as error:
        raise CliError(f"The record of {rollout_id} is not proven: {error}") from error


def _read_keyring(path: Path) -> Keyring:
    try:
        return read_keyring(path)
    except (OSError, ValueError) as error:
        raise CliError(f"The keyring cannot be read: {error}", Exit.USAGE) from error


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
