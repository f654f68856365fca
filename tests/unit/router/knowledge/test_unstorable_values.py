"""Values that no store takes are left out alone, and a file that cannot be read is an error."""

from pathlib import Path

import pytest

from router.knowledge.records import Record
from router.knowledge.sources import Source, SourceError, SourceProblem, load_source, parse_source


def test_a_value_that_cannot_be_stored_is_lost_alone() -> None:
    """Pandas writes NaN for a missing number, and lists of coordinates are lists of lists."""
    text = '{"id": "a", "x": NaN, "y": {"z": NaN}, "m": [[1, 2]]}\n{"id": "b", "x": 1e999, "n": [1, null]}'
    found = list(parse_source(Source("notes.jsonl", ".jsonl", text)))
    first, second = (item for item in found if isinstance(item, Record))
    assert first.attributes == {"m": "[[1, 2]]"}
    assert second.attributes == {"n": "[1, null]"}
    assert [item.reason[:17] for item in found if isinstance(item, SourceProblem)] == [
        "1 value of 'x' ca"
    ]


def test_a_damaged_pdf_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.4 damaged")
    with pytest.raises(SourceError, match="damaged"):
        load_source(str(path))
