"""CSV and TSV: the first line names the columns, and each later one is a record.

The rows are read twice: first for a profile of the columns, then for the records.
"""

import csv
from collections.abc import Iterator
from dataclasses import replace

from router.knowledge.sources.naming import column_names
from router.knowledge.sources.row_records import RowRecords
from router.knowledge.sources.source import (
    EMPTY_FILE,
    ParsedItems,
    ReadOptions,
    Source,
    SourceError,
    SourceProblem,
)
from router.knowledge.sources.table_profile import Row, TableProfile

_DELIMITERS = ",;\t|"
csv.field_size_limit(16 * 1024 * 1024)


def parse_csv(source: Source, options: ReadOptions) -> ParsedItems:
    """Yield the records of a table. The delimiter is the one that the first line holds most of."""
    delimiter = _find_delimiter(source)
    if delimiter is None:
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    id_field = options.id_column and column_names([options.id_column])[0]
    profile = TableProfile.of(lambda: _rows(source, delimiter), id_field or "id")
    if id_field and profile.rows and id_field not in profile.columns:
        raise SourceError(
            f"{source.origin}: no column {options.id_column!r}; there are "
            f"{', '.join(list(profile.columns)[:20])}"
        )
    read_options = replace(options, id_column=id_field)
    rows = RowRecords(source, read_options, profile, typed=False)
    yield from rows.parse(_rows(source, delimiter))


def _find_delimiter(source: Source) -> str | None:
    head = next((line for _, line in source.lines() if line and line.strip()), None)
    return None if head is None else max(_DELIMITERS, key=head.count)


def _rows(source: Source, delimiter: str) -> Iterator[tuple[int, Row | str]]:
    """Yield each row's first line and its cells by column, or the reason why it is not a row."""
    with source.open_text() as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        columns: list[str] = []
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, f"not CSV: {error}; is a quotation mark not closed?"
                continue
            if not columns:
                columns = column_names(cells)
            elif any(cell.strip() for cell in cells):
                yield line, _zip_cells(columns, cells)


def _zip_cells(columns: list[str], cells: list[str]) -> Row | str:
    while len(cells) > len(columns) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(columns):
        return f"{len(cells)} cells for {len(columns)} columns"
    return dict(zip(columns, cells, strict=True))
