"""JSON lines: one object a line, read twice as a table is. Blank lines do not count."""

import json
from collections.abc import Iterator
from typing import Any

from router.knowledge.sources.row_records import RowRecords
from router.knowledge.sources.source import (
    EMPTY_FILE,
    LINE_CHARS_MAX,
    ParsedItems,
    ReadOptions,
    Source,
    SourceProblem,
)
from router.knowledge.sources.table_profile import Row, TableProfile


def parse_json_lines(source: Source, options: ReadOptions) -> ParsedItems:
    """Yield the records of the lines, and a problem for each line that is not an object."""
    if next(_rows(source), None) is None:
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    profile = TableProfile.of(lambda: _rows(source), options.id_column or "id")
    rows = RowRecords(source, options, profile, typed=True)
    yield from rows.parse(_rows(source))


def _rows(source: Source) -> Iterator[tuple[int, Row | str]]:
    """Yield each line's object, or the reason why it is not one."""
    for number, line in source.lines():
        if line is None:
            yield number, f"the line has more than {LINE_CHARS_MAX // 2**20} million characters"
        elif line.strip():
            yield number, _parse_line(line)


def _parse_line(line: str) -> dict[str, Any] | str:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:
        return f"not JSON that can be read: {type(error).__name__}"
    if isinstance(document, dict):
        return document
    return f"an object is expected, not {type(document).__name__}"
