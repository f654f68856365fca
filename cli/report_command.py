"""``sluice report``: the post-mortem, whenever somebody asks for it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from temporalio.exceptions import ApplicationError

from activities.archive import FileArchive
from activities.ledger import PostgresLedger
from activities.models import ReportRequest
from cli.context import Context
from cli.errors import CliError, Exit
from cli.evidence import Id, live_state, opened_ledger, recorded_id
from cli.output import Json, answer
from rollout.state import State, Status


def report(
    rollout: Id = None,
    directory: Annotated[
        Path | None, typer.Option(help="Where to; default: the plan's report_directory, here.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the post-mortem now, before the end too: Markdown, and one HTML file with plots.

    Exit code: 4 when nothing is recorded of the rollout.
    """
    asyncio.run(_report(rollout, directory and directory.resolve(), json))


async def _report(rollout: str | None, directory: Path | None, json: bool) -> None:
    from activities.report import ReportActivities  # noqa: PLC0415  plots: seconds of imports

    context = Context.read()
    async with opened_ledger(context) as ledger:
        rollout_id = await recorded_id(ledger, rollout)
        request = await _request(context, ledger, rollout_id, directory)
        try:
            receipt = await ReportActivities(ledger, FileArchive()).write_report(request)
        except ApplicationError as error:
            raise CliError(f"The report can't be written: {error}") from error
    document = {"rollout": rollout_id, "ending": request.ending, **receipt.model_dump()}
    answer(json, document, f"{request.ending}: {receipt.markdown}\n{receipt.html}")


async def _request(
    context: Context, ledger: PostgresLedger, rollout_id: str, directory: Path | None
) -> ReportRequest:
    """What to report: the state as the workflow has it, else as the ledger had it at the end."""
    now = datetime.now(UTC)
    state = await live_state(context, rollout_id)
    if state is None:
        kept = await ledger.entries(rollout_id, "state")
        if not kept:
            raise CliError(
                f"{rollout_id} has no state in the ledger yet, and its workflow does not answer. "
                "Start Temporal and a worker, then ask again; `sluice explain` needs neither.",
                Exit.UNREACHABLE,
            )
        request = ReportRequest.model_validate_json(kept[-1].body, extra="ignore")
    else:
        request = ReportRequest(state=state, ending=_ending(state), at=state.finished_at or now)
    if directory is None:
        return request
    plan = request.state.plan.model_copy(update={"report_directory": str(directory)})
    return request.model_copy(update={"state": request.state.model_copy(update={"plan": plan})})


def _ending(state: State) -> Any:  # noqa: ANN401  the literal of ReportRequest
    return {Status.HEALTHY: "Healthy", Status.ABORTED: "Aborted"}.get(state.status, "Interim")
