"""The post-mortem of a rollout, however it ended."""

from dataclasses import dataclass
from typing import Literal

from temporalio import activity

from activities.contract.errors import temporal_errors
from activities.contract.models import LedgerEntry, ReportReceipt, ReportRequest
from activities.contract.ports import Archive, Ledger
from activities.contract.timeline_ledger import record_events
from activities.rendering.report_files import write_report


@dataclass(frozen=True)
class ReportActivities:
    """Reads the evidence, writes two files, and records their paths in the ledger."""

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
            receipt = await write_report(self.ledger, self.archive, request)
            entry = _entry(request, "report", receipt.model_dump_json(exclude={"digest"}))
            recorded = await self.ledger.append(entry.linked_to(recorded.digest))
        return receipt.model_copy(update={"digest": recorded.digest})


def _entry(request: ReportRequest, kind: Literal["state", "report"], body: str) -> LedgerEntry:
    return LedgerEntry(
        rollout_id=request.state.rollout_id,
        key=request.ledger_key(kind),
        kind=kind,
        at=request.at,
        body=body,
    )
