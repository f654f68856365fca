"""The chain shows which record was altered, removed, inserted or reordered."""

import pytest

from sluice.identity import ChainedRecord, ChainError, append_record, verify_chain
from tests.unit.identity.ssh_fixtures import CONTEXT

ID = "rollout-router/4f0c"


def _record(verb: str, actor: str) -> ChainedRecord:
    return ChainedRecord(
        position=0,
        previous="",
        rollout_id=ID,
        verb=verb,
        actor=actor,
        reason="",
        step="canary",
        percentage=5,
        evidence="",
        at=CONTEXT.time,
    )


def _chain(*actors: str) -> tuple[list[ChainedRecord], str]:
    records: list[ChainedRecord] = []
    head = ""
    for actor in actors:
        record, head = append_record(_record("approve", actor), len(records), head)
        records.append(record)
    return records, head


def test_whole_chain_gives_its_head() -> None:
    records, head = _chain("ada", "bob", "eve")
    assert verify_chain(records, ID, head) == head


@pytest.mark.parametrize("position", [0, 1, 2])
def test_altered_record_shows(position: int) -> None:
    """The next link, or for the last one the head, does not fit any more."""
    records, head = _chain("ada", "bob", "eve")
    records[position] = records[position].model_copy(update={"actor": "mallory"})
    with pytest.raises(ChainError) as error:
        verify_chain(records, ID, head)
    assert error.value.position == position + 1


@pytest.mark.parametrize("position", [0, 1, 2])
def test_removed_record_shows(position: int) -> None:
    records, head = _chain("ada", "bob", "eve")
    del records[position]
    with pytest.raises(ChainError) as error:
        verify_chain(records, ID, head)
    assert error.value.position == position


def test_reordered_records_show() -> None:
    records, head = _chain("ada", "bob", "eve")
    with pytest.raises(ChainError, match="decision 1"):
        verify_chain([records[0], records[2], records[1]], ID, head)


def test_inserted_record_shows() -> None:
    """A forged record fits its place, but the one after it does not continue it."""
    records, head = _chain("ada", "bob")
    forged, _ = append_record(_record("approve", "mallory"), 1, records[1].previous)
    with pytest.raises(ChainError, match="decision 2"):
        verify_chain([records[0], forged, records[1]], ID, head)


def test_rebuilt_chain_differs_from_the_known_head() -> None:
    """A person who rewrites every row can't change the head that Temporal and the report hold."""
    _, head = _chain("ada", "bob")
    rewritten, _ = _chain("ada", "mallory")
    with pytest.raises(ChainError, match="ends in"):
        verify_chain(rewritten, ID, head)


def test_record_of_another_rollout_shows() -> None:
    records, head = _chain("ada")
    with pytest.raises(ChainError, match="belongs to"):
        verify_chain(records, "rollout-router/other", head)
