"""The timeline in the ledger: it outlives the workflow, which keeps its last lines only."""

import json
from collections.abc import Iterable, Sequence

from activities.contract.models import CheckRecord, LedgerEntry
from activities.contract.ports import Ledger
from sluice.rollout.engine.event_chain import Event, EventChainError
from sluice.rollout.engine.evidence_chain import EvidenceRow

RULES_BEGIN = ',"gates":'
"""A string in JSON escapes its quotes, so this is a key; a body without it is parsed whole."""


async def record_events(ledger: Ledger, rollout_id: str, events: Iterable[Event]) -> None:
    """Keep every line once, however often it is sent."""
    for event in events:
        await ledger.append(_entry(rollout_id, event))


def _entry(rollout_id: str, event: Event) -> LedgerEntry:
    return LedgerEntry(
        rollout_id=rollout_id,
        key=f"event-{event.position:06}",
        kind="event",
        at=event.at,
        body=event.model_dump_json(),
    )


async def read_events(ledger: Ledger, rollout_id: str) -> list[Event]:
    """Return every recorded line of the timeline, in the order of its chain."""
    entries = await ledger.entries(rollout_id, "event")
    return _ordered(map(_parse_event, entries))


async def read_checked_events(ledger: Ledger, rollout_id: str) -> list[Event]:
    """Return the timeline as ``read_events`` does, with each row held against its event.

    The chain covers the events alone; a reader of the table sees the rows.

    Raises:
        EventChainError: a row has another key or time than its event, or a field twice.
    """
    entries = await ledger.entries(rollout_id, "event")
    return _ordered(_checked_event(rollout_id, entry) for entry in entries)


def _ordered(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event.position)


def _parse_event(entry: LedgerEntry) -> Event:
    return Event.model_validate_json(entry.body, extra="ignore")


def _checked_event(rollout_id: str, entry: LedgerEntry) -> Event:
    event = _parse_event(entry)

    def fields_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        fields = dict(pairs)
        if len(fields) < len(pairs):  # readers differ in which of the two they take
            raise EventChainError(event.position, "a field of its row is written twice")
        return fields

    own = _entry(rollout_id, event)
    if (entry.key, entry.at) != (own.key, own.at):
        raise EventChainError(
            event.position, f"its row is {entry.key} of {entry.at}, expected {own.key} of {own.at}"
        )
    json.loads(entry.body, object_pairs_hook=fields_once)
    return event


async def read_checks(ledger: Ledger, rollout_id: str) -> list[CheckRecord]:
    """Return every recorded check, oldest first. Checks by the same rules share them to save memory."""
    entries = await ledger.entries(rollout_id, "check")
    rules: dict[str, CheckRecord] = {}
    return [_parse_check(entry.body, rules) for entry in entries]


def _parse_check(body: str, rules: dict[str, CheckRecord]) -> CheckRecord:
    """Parse a body, but the text of its rules only once."""
    check, separator, key = body.partition(RULES_BEGIN)
    if not separator or key not in rules:
        rules[key] = CheckRecord.model_validate_json(body, extra="ignore")
        return rules[key]
    record = CheckRecord.model_validate_json(check + "}", extra="ignore")
    return record.model_copy(update={"gates": rules[key].gates, "metrics": rules[key].metrics})


async def read_evidence(ledger: Ledger, rollout_id: str) -> list[EvidenceRow]:
    """Return every row but the timeline's, in the order of writing."""
    entries = await ledger.evidence(rollout_id)
    return [EvidenceRow(entry.key, entry.content, entry.digest) for entry in entries]


def merge_timelines(recorded: Sequence[Event], timeline: Sequence[Event]) -> tuple[Event, ...]:
    """Merge both timelines, each line once, oldest first."""
    return tuple(sorted(dict.fromkeys((*recorded, *timeline)), key=lambda event: event.position))
