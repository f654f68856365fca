"""The end of a timeline in the ledger."""

from dataclasses import dataclass

from temporalio import activity

from activities.contract.errors import temporal_errors
from activities.contract.models import EndRecord
from activities.contract.ports import Ledger
from activities.contract.timeline_ledger import record_events


@dataclass(frozen=True)
class TimelineActivities:
    """Puts the last lines of a timeline into the ledger, when the rollout is over."""

    ledger: Ledger

    @activity.defn(name="record_end")
    async def record_end(self, ending: EndRecord) -> None:
        """Record the last lines of the timeline, which follow the report.

        Raises:
            LedgerUnreachableError: retried.
            ApplicationError: type LedgerRefused, not retried.
        """
        with temporal_errors():
            await record_events(self.ledger, ending.rollout_id, ending.events)
