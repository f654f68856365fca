"""The chain shows which event was altered, removed, inserted or reordered."""

from datetime import UTC, datetime

import pytest

from sluice.rollout.engine.event_chain import Event, EventChainError, link_event, verify_chain

ID = "rollout-router/4f0c"
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def _chain(*actors: str, rollout_id: str = ID) -> list[Event]:
    events: list[Event] = []
    for actor in actors:
        event = Event(at=NOW, kind="approve", text="fine", actor=actor, percentage=5)
        events.append(link_event(event, events[-1] if events else None, rollout_id))
    return events


def test_whole_chain_gives_its_head() -> None:
    events = _chain("ada", "bob", "eve")
    assert verify_chain(events, ID, events[-1].digest) == events[-1].digest


@pytest.mark.parametrize("position", [1, 2, 3])
@pytest.mark.parametrize("change", [{"actor": "mallory"}, {"text": "bad"}, {"percentage": 50.0}])
def test_altered_event_shows(position: int, change: dict[str, object]) -> None:
    events = _chain("ada", "bob", "eve")
    events[position - 1] = events[position - 1].model_copy(update=change)
    with pytest.raises(EventChainError) as error:
        verify_chain(events, ID)
    assert error.value.position == position


@pytest.mark.parametrize("position", [1, 2, 3])
def test_removed_event_shows(position: int) -> None:
    """The last one shows only against the head that Temporal or the report holds."""
    events = _chain("ada", "bob", "eve")
    head = events[-1].digest
    del events[position - 1]
    with pytest.raises(EventChainError) as error:
        verify_chain(events, ID, head)
    assert error.value.position == position


def test_reordered_events_show() -> None:
    events = _chain("ada", "bob", "eve")
    with pytest.raises(EventChainError, match="event 2"):
        verify_chain([events[0], events[2], events[1]], ID)


def test_inserted_event_shows() -> None:
    """A forged event fits its place, but the one after it does not continue it."""
    events = _chain("ada", "bob")
    forged = link_event(events[0].model_copy(update={"actor": "mallory"}), events[0], ID)
    with pytest.raises(EventChainError, match="event 3"):
        verify_chain([events[0], forged, events[1]], ID)


def test_rebuilt_chain_differs_from_the_known_head() -> None:
    """A person who rewrites every row can't change the head that others hold."""
    with pytest.raises(EventChainError, match="ends in"):
        verify_chain(_chain("ada", "mallory"), ID, _chain("ada", "bob")[-1].digest)


def test_chain_belongs_to_one_rollout() -> None:
    with pytest.raises(EventChainError, match="event 1"):
        verify_chain(_chain("ada", rollout_id="rollout-router/other"), ID)
