"""The command ``sluice report``: the post-mortem at any time."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from activities.adapters.postgres_ledger import PostgresLedger
from activities.adapters.report_archive import FileArchive
from activities.contract.errors import ArchiveUnwritableError
from activities.contract.models import ReportRequest
from activities.contract.timeline_ledger import read_events
from sluice.cli.clients.ledger import fetch_live_state, open_ledger, resolve_rollout_id
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import RolloutArgument
from sluice.cli.output import JsonOption, print_result
from sluice.rollout.engine.state import State, Status


def report(
    rollout: RolloutArgument = None,
    directory: Annotated[
        Path | None, typer.Option(help="The folder; default: the plan's report_directory.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write the post-mortem now, also before the end: Markdown, and one HTML file with plots.

    Exit code: 4 when nothing is recorded of the rollout.
    """
    asyncio.run(_write_report(rollout, directory and directory.resolve(), json))


async def _write_report(rollout: str | None, directory: Path | None, json: bool) -> None:
    from activities.rendering.report_files import write_report  # noqa: PLC0415  templates: slow

    context = Context.read()
    async with open_ledger(context) as ledger:
        rollout_id = await resolve_rollout_id(ledger, rollout)
        recorded = await read_events(ledger, rollout_id)
        state = await fetch_live_state(context, rollout_id, recorded)
        request = await _report_request(ledger, rollout_id, state, directory)
        try:
            archive = FileArchive(directory or Path())
            receipt = await write_report(ledger, archive, request, recorded)
        except ArchiveUnwritableError as error:
            raise CliError(f"The report cannot be written: {error}") from error
    document = {
        "rollout": rollout_id,
        "ending": request.ending,
        **receipt.model_dump(exclude={"digest"}),
    }
    print_result(json, document, f"{request.ending}: {receipt.markdown}\n{receipt.html}")


async def _report_request(
    ledger: PostgresLedger, rollout_id: str, state: State | None, directory: Path | None
) -> ReportRequest:
    """Build the request from the workflow's state, or else from the ledger's final state."""
    now = datetime.now(UTC)
    if state is None:
        states = await ledger.entries(rollout_id, "state")
        if not states:
            raise CliError(
                f"{rollout_id} has no state in the ledger yet, and its workflow does not answer. "
                "Start Temporal and a worker and run this again; `sluice explain` needs neither.",
                Exit.UNREACHABLE,
            )
        request = ReportRequest.model_validate_json(states[-1].body, extra="ignore")
    else:
        request = ReportRequest(state=state, ending=_ending(state), at=state.finished_at or now)
    if directory is None:
        return request
    plan = request.state.plan.model_copy(update={"report_directory": "."})
    return request.model_copy(update={"state": request.state.model_copy(update={"plan": plan})})


def _ending(state: State) -> Any:  # noqa: ANN401  the literal of ReportRequest
    return {Status.HEALTHY: "Healthy", Status.ABORTED: "Aborted"}.get(state.status, "Interim")
