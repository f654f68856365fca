"""Writing the post-mortem, however the rollout ended."""

import asyncio
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from temporalio import activity

from activities.contract.errors import temporal_errors
from activities.contract.models import LedgerEntry, ReportReceipt, ReportRequest
from activities.contract.ports import Archive, Ledger
from activities.contract.timeline_ledger import (
    merge_timelines,
    read_checks,
    read_events,
    record_events,
)
from activities.rendering import report_text
from activities.rendering.plots import draw
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.review.report import build_report


@dataclass(frozen=True)
class ReportActivities:
    """Reads the evidence, writes two files, and notes in the ledger where they are."""

    ledger: Ledger
    archive: Archive

    @activity.defn(name="write_report")
    async def write_report(self, request: ReportRequest) -> ReportReceipt:
        """Write ``{flag}-{YYYY-MM-DD-HHMM}.md`` and ``.html``; writing again replaces them.

        Raises:
            LedgerUnreachableError, ArchiveUnwritableError: retried.
            ApplicationError: type LedgerRefused, not retried.
        """
        rollout_id = request.state.rollout_id
        with temporal_errors():
            await record_events(self.ledger, rollout_id, request.state.timeline)
            await self.ledger.append(_entry(request, "state", request.model_dump_json()))
            full_request = await self._with_full_timeline(request)
            checks = [record.check for record in await read_checks(self.ledger, rollout_id)]
            receipt = await asyncio.to_thread(self._write_files, full_request, checks)
            await self.ledger.append(_entry(request, "report", receipt.model_dump_json()))
        return receipt

    async def _with_full_timeline(self, request: ReportRequest) -> ReportRequest:
        """Return the request with the whole timeline; the state keeps only its last lines."""
        recorded = await read_events(self.ledger, request.state.rollout_id)
        timeline = merge_timelines(recorded, request.state.timeline)
        state = request.state.model_copy(update={"timeline": timeline})
        return request.model_copy(update={"state": state})

    def _write_files(self, request: ReportRequest, checks: list[Check]) -> ReportReceipt:
        state = request.state
        report = build_report(state, request.ending, request.at, checks)
        name = f"{state.plan.flag}-{request.at.astimezone(UTC):%Y-%m-%d-%H%M}"
        html = report_text.render_html(report, draw(report))
        return ReportReceipt(
            markdown=self.archive.write(state, f"{name}.md", report_text.render_markdown(report)),
            html=self.archive.write(state, f"{name}.html", html),
        )


def _entry(request: ReportRequest, kind: Literal["state", "report"], body: str) -> LedgerEntry:
    return LedgerEntry(
        rollout_id=request.state.rollout_id,
        key=f"{kind}-{request.ending}-{request.at.isoformat()}",
        kind=kind,
        at=request.at,
        body=body,
    )
