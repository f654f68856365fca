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
        """Record the final state, then write the files, then record where they are.

        Raises:
            LedgerUnreachableError, ArchiveUnwritableError: retried.
            ApplicationError: type LedgerRefused, not retried.
        """
        state = request.state
        with temporal_errors():
            await record_events(self.ledger, state.rollout_id, state.timeline)
            entry = _entry(request, "state", request.model_dump_json())
            recorded = await self.ledger.append(entry.linked_to(state.evidence.digest))
            receipt = await self.write_files(request)
            entry = _entry(request, "report", receipt.model_dump_json(exclude={"digest"}))
            recorded = await self.ledger.append(entry.linked_to(recorded.digest))
        return receipt.model_copy(update={"digest": recorded.digest})

    async def write_files(self, request: ReportRequest) -> ReportReceipt:
        """Write ``{flag}-{YYYY-MM-DD-HHMM}.md`` and ``.html``; writing again replaces them.

        Raises:
            LedgerUnreachableError, ArchiveUnwritableError: transient.
        """
        full_request = await self._with_full_timeline(request)
        records = await read_checks(self.ledger, request.state.rollout_id)
        checks = [record.check for record in records]
        return await asyncio.to_thread(self._write_files, full_request, checks)

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
        key=request.ledger_key(kind),
        kind=kind,
        at=request.at,
        body=body,
    )
