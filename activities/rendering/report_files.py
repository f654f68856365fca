"""The two files of a post-mortem, from the evidence in the ledger. It needs no Temporal."""

import asyncio
from collections.abc import Sequence
from datetime import UTC

from activities.contract.models import ReportReceipt, ReportRequest
from activities.contract.ports import Archive, Ledger
from activities.contract.timeline_ledger import merge_timelines, read_checks, read_events
from activities.rendering import report_text
from activities.rendering.plots import draw
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.review.report import build_report


async def write_report(
    ledger: Ledger,
    archive: Archive,
    request: ReportRequest,
    recorded: Sequence[Event] | None = None,
) -> ReportReceipt:
    """Write ``{flag}-{YYYY-MM-DD-HHMM}.md`` and ``.html``; writing again replaces them.

    ``recorded``: the timeline in the ledger, where the caller has read it.

    Raises:
        LedgerUnreachableError, ArchiveUnwritableError: transient.
    """
    if recorded is None:
        recorded = await read_events(ledger, request.state.rollout_id)
    full_request = _with_full_timeline(recorded, request)
    records = await read_checks(ledger, request.state.rollout_id)
    checks = [record.check for record in records]
    return await asyncio.to_thread(_write_files, archive, full_request, checks)


def _with_full_timeline(recorded: Sequence[Event], request: ReportRequest) -> ReportRequest:
    """Return the request with the whole timeline; the state keeps only its last lines."""
    timeline = merge_timelines(recorded, request.state.timeline)
    state = request.state.model_copy(update={"timeline": timeline})
    return request.model_copy(update={"state": state})


def _write_files(archive: Archive, request: ReportRequest, checks: list[Check]) -> ReportReceipt:
    state = request.state
    report = build_report(state, request.ending, request.at, checks)
    name = f"{state.plan.flag}-{request.at.astimezone(UTC):%Y-%m-%d-%H%M}"
    html = report_text.render_html(report, draw(report))
    return ReportReceipt(
        markdown=archive.write(state, f"{name}.md", report_text.render_markdown(report)),
        html=archive.write(state, f"{name}.html", html),
    )
