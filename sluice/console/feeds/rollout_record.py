"""The ledger's record of a rollout: explanations and the post-mortem, also without Temporal."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.errors import EffectError
from activities.contract.models import ReportRequest
from activities.contract.timeline_ledger import (
    merge_timelines,
    read_checks,
    read_events,
)
from activities.rendering.report_text import render_markdown
from sluice.cli.commands.plan_edits.whatif import replay_with_overrides
from sluice.cli.errors import CliError, Exit
from sluice.cli.views.whatif import whatif_text
from sluice.console.feeds.rollout_feed import RolloutFeed
from sluice.rollout.engine.state import State, Status
from sluice.rollout.engine.timeline import findings_of
from sluice.rollout.errors import OverrideError
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.review.explain import Explanation, RecordedCheck, explain
from sluice.rollout.review.report import ReportEnding, build_report
from sluice.rollout.review.whatif import VerdictChange
from sluice.rollout.review.whatif_replay import StepReplay
from workflows.models import workflow_id

EXPLANATIONS_MAX = 200
LEDGER_NEEDED = "The ledger (Postgres) does not answer, and this page shows only what it holds."
_ENDINGS: dict[Status, ReportEnding] = {Status.HEALTHY: "Healthy", Status.ABORTED: "Aborted"}
_logger = structlog.get_logger(__name__)


class LedgerAwayError(CliError):
    """The ledger does not answer; the message is fit for a page."""

    def __init__(self, error: EffectError) -> None:
        _logger.warning("ledger away", error=str(error))
        super().__init__(LEDGER_NEEDED, Exit.FAILED)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The recorded readings under edited rules; ``text`` sums it up, empty without edits."""

    plan: RolloutPlan
    changes: Sequence[VerdictChange]
    replays: Sequence[StepReplay]
    text: str


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """Reads one rollout's record; ``feed`` gives what the ledger does not have yet.

    ``run`` names an earlier rollout of the flag by its first run; without it, the latest is read.
    """

    ledger: PostgresLedger
    feed: RolloutFeed

    async def explain(self, flag: str, run: str = "") -> tuple[Explanation, ...]:
        """Explain the newest decisions, newest first.

        Raises:
            CliError: nothing is recorded, or the ledger is away.
        """
        try:
            rollout_id, state = await self._find(flag, run)
            timeline = state.timeline if state else ()
            events = merge_timelines(await read_events(self.ledger, rollout_id), timeline)
            checks = [
                RecordedCheck(check=record.check, gates=record.gates, metrics=record.metrics)
                for record in await read_checks(self.ledger, rollout_id)
            ]
        except EffectError as error:
            raise LedgerAwayError(error) from error
        return explain(events, checks, findings_of(events))[: -EXPLANATIONS_MAX - 1 : -1]

    async def write_report(self, flag: str, now: datetime, run: str = "") -> str:
        """Write the post-mortem as Markdown; before the end, what it would be now.

        Raises:
            CliError: nothing is recorded, or the ledger is away.
        """
        try:
            rollout_id, state = await self._find(flag, run)
            if state is None:
                state = await self._recorded_state(rollout_id)
            recorded = await read_events(self.ledger, state.rollout_id)
            state = state.model_copy(update={"timeline": merge_timelines(recorded, state.timeline)})
            checks = [record.check for record in await read_checks(self.ledger, state.rollout_id)]
        except EffectError as error:
            raise LedgerAwayError(error) from error
        ending: ReportEnding = _ENDINGS.get(state.status, "Interim")
        return render_markdown(build_report(state, ending, state.finished_at or now, checks))

    async def replay(self, flag: str, edits: Sequence[str]) -> WhatIf:
        """Judge the recorded readings again under edited rules.

        Raises:
            CliError: nothing is recorded, the ledger is away, or an edit can't be applied.
        """
        try:
            rollout_id, state = await self._find(flag, "")
            plan = state.plan if state else (await self._recorded_state(rollout_id)).plan
            timeline = state.timeline if state else ()
            events = merge_timelines(await read_events(self.ledger, rollout_id), timeline)
            records = await read_checks(self.ledger, rollout_id)
        except EffectError as error:
            raise LedgerAwayError(error) from error
        checks = [RecordedCheck(check=r.check, gates=r.gates, metrics=r.metrics) for r in records]
        if not edits:
            return WhatIf(plan, (), (), "")
        try:
            changes, replays = await asyncio.to_thread(
                replay_with_overrides, edits, (checks, events), plan
            )
        except OverrideError as error:
            raise CliError(str(error), Exit.USAGE) from error
        text = whatif_text(rollout_id, changes, replays, plan)
        return WhatIf(plan, tuple(changes), tuple(replays), text)

    async def _find(self, flag: str, run: str) -> tuple[str, State | None]:
        """Return the rollout's id, and its state if Temporal answers for it."""
        if run:  # an earlier one: Temporal has nothing to add, and may be slow
            return f"{workflow_id(flag)}/{run}", None
        state = await self._live_state(flag)
        return (state.rollout_id if state else await self._latest_id(flag)), state

    async def _live_state(self, flag: str) -> State | None:
        try:
            return (await self.feed.read(flag)).state
        except CliError:
            return None

    async def _latest_id(self, flag: str) -> str:
        rollout_id = await self.ledger.latest_rollout_id(f"{workflow_id(flag)}/")
        if rollout_id is None:
            raise CliError(f"Nothing is recorded of a rollout of {flag}.", Exit.NOT_FOUND)
        return rollout_id

    async def _recorded_state(self, rollout_id: str) -> State:
        entries = await self.ledger.entries(rollout_id, "state")
        if not entries:
            raise CliError(
                f"{rollout_id} has no recorded final state: it was ended in Temporal, or it still runs.",
                Exit.NOT_FOUND,
            )
        return ReportRequest.model_validate_json(entries[-1].body, extra="ignore").state
