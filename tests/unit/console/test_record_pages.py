"""The plan's page lists what was changed while the rollout ran."""

from datetime import UTC, datetime

from sluice.console.pages.record import plan_amendments
from sluice.rollout.engine.event_chain import Event

AT = datetime(2026, 11, 30, tzinfo=UTC)


def test_amendments_name_person_reason_and_each_difference() -> None:
    """Newest first; other events stay out."""
    events = [
        Event(at=AT, kind="step", text="live"),
        Event(at=AT, kind="plan", text="ramp-25 hold: 1d → 2d; steps: + ramp-50"),
        Event(at=AT, kind="amend", text="slower", actor="ada"),
        Event(at=AT, kind="plan", text="ramp-50 title"),
        Event(at=AT, kind="amend", text="", actor="bob"),
    ]
    newest, first = plan_amendments(events)
    assert (newest.actor, newest.changes) == ("bob", ["ramp-50 title"])
    assert (first.reason, first.changes) == (
        "slower",
        ["ramp-25 hold: 1d → 2d", "steps: + ramp-50"],
    )
