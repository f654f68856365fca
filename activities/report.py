"""Writing the post-mortem, however the rollout ended."""

import asyncio
from dataclasses import dataclass
from datetime import UTC

from temporalio import activity

from activities import report_text
from activities.errors import temporal_errors
from activities.models import CheckResult, LedgerEntry, ReportReceipt, ReportRequest
from activities.plots import draw
from activities.ports import Archive, Ledger
from rollout.report import build_report
from rollout.verdict import Check


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
        state = request.state
        with temporal_errors():
            entries = await self.ledger.entries(state.rollout_id, "check")
            checks = [
                CheckResult.model_validate_json(entry.body).check
                for entry in entries
                if entry.at >= state.started_at  # an earlier rollout of the same flag isn't ours
            ]
            receipt = await asyncio.to_thread(self._write, request, checks)
            await self.ledger.append(_entry(request, receipt))
        return receipt

    def _write(self, request: ReportRequest, checks: list[Check]) -> ReportReceipt:
        state = request.state
        report = build_report(state, request.ending, request.at, checks)
        name = f"{state.plan.flag}-{request.at.astimezone(UTC):%Y-%m-%d-%H%M}"
        html = report_text.html(report, draw(report))
        return ReportReceipt(
            markdown=self.archive.write(state, f"{name}.md", report_text.markdown(report)),
            html=self.archive.write(state, f"{name}.html", html),
        )


def _entry(request: ReportRequest, receipt: ReportReceipt) -> LedgerEntry:
    return LedgerEntry(
        rollout_id=request.state.rollout_id,
        key=f"report-{request.ending}-{request.at.isoformat()}",
        kind="report",
        at=request.at,
        body=receipt.model_dump_json(),
    )
