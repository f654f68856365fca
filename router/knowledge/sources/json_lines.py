"""JSON lines: one object a line, read twice as a table is. Blank lines do not count.

A file that is one array or one object over several lines is read as that.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
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

DOCUMENT_BYTES_MAX = 32 * 1024 * 1024
"""Largest file that is read as one array or object: it is in memory. Lines have no such limit."""
_SEPARATORS = re.compile(r"[\s,]*")
_COMMENTS = ("//", "#", "/*")


def parse_json_lines(source: Source, options: ReadOptions) -> ParsedItems:
    """Yield the records of the lines, and a problem for each line that is not an object."""
    first = next(_rows(source), None)
    if first is None:
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    may_be_document = isinstance(first[1], str) or source.suffix == ".json"
    document = _read_document(source) if may_be_document else ""
    rows = _document_rows(source, document) if document else []

    def read_rows() -> Iterator[tuple[int, Row | str]]:
        return iter(rows) if rows else _rows(source)

    profile = TableProfile.of(read_rows, options.id_column or "id")
    yield from RowRecords(source, options, profile, typed=True).parse(read_rows())


def _read_document(source: Source) -> str:
    """Return the text of a file that is not too large to be read as one JSON document."""
    if isinstance(source.content, Path) and source.content.stat().st_size > DOCUMENT_BYTES_MAX:
        return ""
    return source.read_text()


def _document_rows(source: Source, text: str) -> list[tuple[int, Row | str]]:
    """Return the objects of an array, or the one object; nothing where the text is neither."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        is_array = text.lstrip().startswith("[") and "Extra data" not in str(error)
        return list(_array_rows(text)) if is_array else []
    if not isinstance(document, dict):
        return list(_array_rows(text)) if isinstance(document, list) else []
    if source.suffix == ".json":  # a configuration more often than a record
        return [(1, "one object is not read: write [ before and ] after it to make it a record")]
    stem = posixpath.splitext(posixpath.basename(source.origin))[0]
    return [(1, {"id": stem, **document})]


def _array_rows(text: str) -> Iterator[tuple[int, Row | str]]:
    """Yield the items with their lines. Behind an item that is not JSON nothing can be read."""
    decoder, line = json.JSONDecoder(), 1
    last, place = 0, text.index("[") + 1
    while (place := _skip_separators(text, place)) < len(text) and text[place] != "]":
        line, last = line + text.count("\n", last, place), place
        try:
            item, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            line += text.count("\n", last, error.pos)
            yield line, f"not JSON: {error.msg} at column {error.colno}; the rest is not read"
            return
        except (ValueError, RecursionError) as error:
            yield line, f"not JSON that can be read: {type(error).__name__}; the rest is not read"
            return
        yield line, item if isinstance(item, dict) else _not_an_object(item)
    if place >= len(text):
        line += text.rstrip().count("\n", last)
        yield line, "the array is not closed: ] is missing at the end of the file"


def _skip_separators(text: str, place: int) -> int:
    match = _SEPARATORS.match(text, place)
    return match.end() if match else place


def _rows(source: Source) -> Iterator[tuple[int, Row | str]]:
    """Yield each line's object, or the reason why it is not one."""
    for number, line in source.lines():
        if line is None:
            yield number, f"the line has more than {LINE_CHARS_MAX // 2**20} million characters"
        elif line.strip():
            yield number, _parse_line(line)


def _parse_line(line: str) -> dict[str, Any] | str:
    try:
        document = json.loads(line.rstrip().removesuffix(","))
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} at column {error.colno}"
        return f"{reason}; take comments out" if line.lstrip().startswith(_COMMENTS) else reason
    except (ValueError, RecursionError) as error:
        return f"not JSON that can be read: {type(error).__name__}"
    return document if isinstance(document, dict) else _not_an_object(document)


def _not_an_object(item: object) -> str:
    return f"an object is expected, not {type(item).__name__}"
