"""Recorded checks and events of one rollout, from the ledger; each entry is parsed once."""

from dataclasses import dataclass, field

import structlog
from pydantic import BaseModel, ConfigDict

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.errors import EffectError
from activities.contract.timeline_ledger import merge_timelines, read_events
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import State

CHECKS_MAX = 400
LEDGER_AWAY = "The ledger (Postgres) does not answer: charts show what was read before."
_logger = structlog.get_logger(__name__)


class _CheckBody(BaseModel):
    """The part of a recorded check that charts need."""

    model_config = ConfigDict(extra="ignore")

    check: Check


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """Checks and events, oldest first. ``problem`` is set when they may be out of date."""

    checks: tuple[Check, ...] = ()
    events: tuple[Event, ...] = ()
    problem: str = ""


@dataclass(slots=True)
class CheckHistory:
    """Checks and timelines from the ledger, of the rollouts that people look at."""

    ledger: PostgresLedger
    _parsed: dict[tuple[str, str], Check] = field(default_factory=dict)
    _last: dict[str, RecordedHistory] = field(default_factory=dict)

    async def load(self, state: State) -> RecordedHistory:
        """Load a rollout's history; without the ledger, the last one that was read."""
        try:
            checks = await self._load_checks(state.rollout_id)
            events = await read_events(self.ledger, state.rollout_id)
        except EffectError as error:
            _logger.warning("ledger away", error=str(error))
            last = self._last.get(state.rollout_id, RecordedHistory())
            return RecordedHistory(
                last.checks, merge_timelines(last.events, state.timeline), LEDGER_AWAY
            )
        history = RecordedHistory(checks, merge_timelines(events, state.timeline))
        self._last = {state.rollout_id: history, **self._last}
        return history

    async def _load_checks(self, rollout_id: str) -> tuple[Check, ...]:
        entries = await self.ledger.entries(rollout_id, "check")
        recent = entries[-CHECKS_MAX:]
        for entry in recent:
            key = (rollout_id, entry.key)
            if key not in self._parsed:
                self._parsed[key] = _CheckBody.model_validate_json(entry.body).check
        return tuple(self._parsed[rollout_id, entry.key] for entry in recent)
