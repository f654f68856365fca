"""CSV and TSV: a header names the columns, and each later line is a record.

The rows are read twice: first for a profile of the columns, then for the records.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from router.knowledge.sources.cells import parse_cell
from router.knowledge.sources.naming import column_names
from router.knowledge.sources.row_records import RowRecords
from router.knowledge.sources.source import (
    EMPTY_FILE,
    ParsedItems,
    ReadOptions,
    Source,
    SourceError,
    SourceNote,
    SourceProblem,
)
from router.knowledge.sources.table_profile import Row, TableProfile

_DELIMITERS = ",;\t|"
_STATED_DELIMITER = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)
_TITLE_COLUMNS_MIN = 3
_RULE_SIGNS = " \t-:=+"
"""Signs of a line that is drawn below a header: a row of them has no values."""
_NO_ROWS = "the table has a header and no rows: nothing to ingest"
"""A problem, as an empty file is: an export that failed must not remove everything."""
csv.field_size_limit(16 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The delimiter of a table, and the lines above its header, which name it or say nothing."""

    delimiter: str
    lines_above: int = 0
    notes: tuple[str, ...] = ()


def parse_csv(source: Source, options: ReadOptions) -> ParsedItems:
    """Yield the records of a table. The delimiter is the one that the header holds most of."""
    layout = _find_layout(source)
    if layout is None:
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    for note in layout.notes:
        yield SourceNote(source.origin, note)
    id_field = options.id_column and column_names([options.id_column])[0]
    profile = TableProfile.of(lambda: _rows(source, layout), id_field or "id")
    if id_field and profile.rows and id_field not in profile.columns:
        raise SourceError(
            f"{source.origin}: no column {options.id_column!r}; there are "
            f"{', '.join(list(profile.columns)[:20])}"
        )
    read_options = replace(options, id_column=id_field)
    items = RowRecords(source, read_options, profile, typed=False).parse(_rows(source, layout))
    yield next(items, SourceProblem(source.origin, _NO_ROWS))
    yield from items


def _find_layout(source: Source) -> _Layout | None:
    """Find the header. A title above it, and ``sep=;`` of spreadsheets, name no columns."""
    head = list(islice(((n, line) for n, line in source.lines() if line and line.strip()), 5))
    if not head:
        return None
    if stated := _STATED_DELIMITER.fullmatch(head[0][1].strip()):
        return _Layout(stated[1], head[0][0])
    notes: list[str] = []
    while len(head) > 1 and _is_title(*(line for _, line in head[:3])):
        number, line = head.pop(0)
        notes.append(f"line {number} is above the header: {line.strip()[:60]!r} is in no record")
    return _Layout(_delimiter(head[0][1]), head[0][0] - 1, tuple(notes))


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


def _is_title(line: str, header: str, row: str | None = None) -> bool:
    """Return True for a line of one cell above three or more names, with rows as wide as those."""
    delimiter = _delimiter(header)
    names = [name.strip() for name in header.split(delimiter)]
    width = len(names)
    are_names = all(isinstance(parse_cell(name), str) for name in names)
    if width < _TITLE_COLUMNS_MIN or not are_names or (row and row.count(delimiter) < width - 1):
        return False
    first, *others = line.split(delimiter)
    return bool(first.strip()) and not any(cell.strip() for cell in others)


def _rows(source: Source, layout: _Layout) -> Iterator[tuple[int, Row | str]]:
    """Yield each row's first line and its cells by column, or the reason why it is not a row."""
    with source.open_text() as text:
        for _ in range(layout.lines_above):
            text.readline()
        reader = csv.reader(text, delimiter=layout.delimiter, skipinitialspace=True, strict=True)
        columns: list[str] = []
        while True:
            line = layout.lines_above + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, f"not CSV: {error}; is a quotation mark not closed?"
                continue
            if not columns:
                columns = column_names(cells)
            elif any(cell.strip(_RULE_SIGNS) for cell in cells):
                yield line, _zip_cells(columns, cells)


def _zip_cells(columns: list[str], cells: list[str]) -> Row | str:
    while len(cells) > len(columns) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(columns):
        return f"{len(cells)} cells for {len(columns)} columns"
    return dict(zip(columns, cells, strict=True))
