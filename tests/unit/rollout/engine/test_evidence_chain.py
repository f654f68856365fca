"""The chain of evidence shows which row was altered, removed, inserted or moved."""

import pytest

from sluice.rollout.engine.evidence_chain import (
    EvidenceChainError,
    EvidenceHead,
    EvidenceRow,
    UnchainedEvidenceError,
    link_evidence,
    verify_evidence,
)

ID = "rollout-router/4f0c"


def chain(*contents: str, rollout_id: str = ID) -> list[EvidenceRow]:
    rows: list[EvidenceRow] = []
    for number, content in enumerate(contents, start=1):
        digest = link_evidence(rollout_id, rows[-1].digest if rows else "", content)
        rows.append(EvidenceRow(f"check-{number}", content, digest))
    return rows


ROWS = chain("errors 1 %", "errors 2 %", "errors 3 %")
HEADS = [EvidenceHead(), EvidenceHead(count=3, digest=ROWS[2].digest)]


def forged(row: EvidenceRow, content: str, previous: str) -> EvidenceRow:
    """Return another content in a row's place, with a digest that fits it."""
    return EvidenceRow(row.key, content, link_evidence(ID, previous, content))


def test_whole_chain_is_confirmed() -> None:
    assert verify_evidence(ROWS, HEADS, ID) == 0


def test_rows_after_the_last_event_are_counted() -> None:
    """A check whose result is on its way is not a forgery."""
    heads = [EvidenceHead(count=2, digest=ROWS[1].digest)]
    assert verify_evidence(ROWS, heads, ID) == 1


def test_row_that_the_rollout_dropped_is_left_out() -> None:
    """A check that a rollback overtook may write its row later, and nothing rests on it."""
    stale = EvidenceRow("check-late", "errors 9 %", "of no chain")
    heads = [*HEADS, EvidenceHead(count=3, digest=ROWS[2].digest, dropped=("check-late",))]
    assert verify_evidence([*ROWS, stale], heads, ID) == 0
    with pytest.raises(EvidenceChainError, match="check-late"):
        verify_evidence([*ROWS, stale], HEADS, ID)


@pytest.mark.parametrize("heads", [HEADS, [EvidenceHead()]], ids=["anchored", "not anchored"])
def test_row_without_a_digest_is_unverifiable_and_not_altered(heads: list[EvidenceHead]) -> None:
    """A rollout that began before evidence was chained has such rows; they prove nothing."""
    with pytest.raises(UnchainedEvidenceError, match="check-0 has no digest"):
        verify_evidence([EvidenceRow("check-0", "errors 1 %", ""), *ROWS], heads, ID)


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ([ROWS[0], EvidenceRow("check-2", "errors 0 %", ROWS[1].digest), ROWS[2]], "check-2"),
        ([ROWS[0], ROWS[2]], "check-3"),
        ([ROWS[1], ROWS[2]], "check-2"),
        ([ROWS[0], ROWS[2], ROWS[1]], "check-3"),
        ([ROWS[0], ROWS[0], ROWS[1], ROWS[2]], "check-1"),
        (ROWS[:2], "1 rows are missing after row 2"),
        ([], "3 rows are missing"),
    ],
    ids=["altered", "removed", "first removed", "moved", "inserted", "last removed", "all removed"],
)
def test_change_names_the_first_row(rows: list[EvidenceRow], first: str) -> None:
    with pytest.raises(EvidenceChainError, match=first):
        verify_evidence(rows, HEADS, ID)


def test_rebuilt_chain_differs_from_what_the_rollout_received() -> None:
    """A person who owns the database can fit every digest, and not the heads in the events."""
    rows = chain("errors 1 %", "errors 0 %", "errors 3 %")
    with pytest.raises(EvidenceChainError, match="check-3 or a row before it"):
        verify_evidence(rows, HEADS, ID)
    last = forged(ROWS[2], "errors 0 %", ROWS[1].digest)
    with pytest.raises(EvidenceChainError, match="check-3"):
        verify_evidence([*ROWS[:2], last], HEADS, ID)


def test_evidence_of_another_rollout_does_not_fit() -> None:
    with pytest.raises(EvidenceChainError, match="check-1"):
        verify_evidence(chain("errors 1 %", rollout_id="rollout-router/other"), HEADS, ID)
