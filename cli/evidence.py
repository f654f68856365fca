"""What is recorded of a rollout: ``explain`` for each decision, ``report`` for the whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from temporalio.exceptions import ApplicationError

from activities.archive import FileArchive
from activities.errors import EffectError
from activities.journal import merged, recorded_checks, recorded_events, recorded_findings
from activities.ledger import PostgresLedger
from activities.models import ReportRequest
from activities.report import ReportActivities
from cli.context import Context
from cli.errors import CliError, Exit
from cli.explanation import as_document, show
from cli.output import Json, answer, say
from cli.rollouts import PREFIX, Rollouts
from rollout.explain import Explained, Judged, explain
from rollout.state import State, Status
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
    async with _ledger(context) as ledger:
        rollout_id = await _recorded_id(ledger, rollout)
        decisions = await _decisions(ledger, rollout_id, await _live_state(context, rollout_id))
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
    context = Context.read()
    async with _ledger(context) as ledger:
        rollout_id = await _recorded_id(ledger, rollout)
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
    state = await _live_state(context, rollout_id)
    if state is None:
        kept = await ledger.entries(rollout_id, "state")
        if not kept:
            raise CliError(
                f"{rollout_id} has no state in the ledger yet, and its workflow does not answer. "
                "Start Temporal and a worker, then ask again; `sluice explain` needs neither.",
                Exit.UNREACHABLE,
            )
        request = ReportRequest.model_validate_json(kept[-1].body)
    else:
        request = ReportRequest(state=state, ending=_ending(state), at=state.finished_at or now)
    if directory is None:
        return request
    plan = request.state.plan.model_copy(update={"report_directory": str(directory)})
    return request.model_copy(update={"state": request.state.model_copy(update={"plan": plan})})


def _ending(state: State) -> Any:  # noqa: ANN401  the literal of ReportRequest
    return {Status.HEALTHY: "Healthy", Status.ABORTED: "Aborted"}.get(state.status, "Interim")


async def _live_state(context: Context, rollout_id: str) -> State | None:
    """The state of exactly this rollout, when its workflow answers."""
    flag = rollout_id.removeprefix(PREFIX).partition("/")[0]
    try:
        async with asyncio.timeout(TEMPORAL_SECONDS):
            state = await Rollouts(await context.temporal()).state(flag)
    except (CliError, TimeoutError) as error:
        say(f"from the ledger alone: {error or 'Temporal takes too long'}")
        return None
    return state if state.rollout_id == rollout_id else None


async def _recorded_id(ledger: PostgresLedger, rollout: str | None) -> str:
    if rollout is not None and "/" in rollout:
        return rollout
    flag = (rollout or "").removeprefix(PREFIX)
    found = await ledger.latest(f"{workflow_id(flag)}/" if flag else PREFIX)
    if found is None:
        what = f"of a rollout of {flag}" if flag else "of any rollout"
        raise CliError(f"The ledger holds nothing {what}; see `sluice list`.", Exit.NOT_FOUND)
    return found


@asynccontextmanager
async def _ledger(context: Context) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(context.postgres_dsn)
    try:
        yield ledger
    except EffectError as error:
        raise CliError(f"{error}. Set POSTGRES_DSN, or `sluice up`.", Exit.UNREACHABLE) from error
    finally:
        await ledger.close()
