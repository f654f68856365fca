"""JSON lines and CSV: one record per line.

Known fields are ``id``, ``kind``, ``title`` (or ``name``), ``text`` (or ``description``, ``body``,
``content``), ``source``, ``attributes`` and ``links``; every other one is an attribute. A date
``occurred_on`` (or ``date``) is the record's own. Links are ``KIND:target``, or objects in JSON.
"""

import csv
import io
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

from router.knowledge.records import Attribute, Link, Record
from router.knowledge.sources.base import (
    EMPTY_FILE,
    ParsedItems,
    Source,
    SourceProblem,
    parse_cell,
    short_digest,
    to_kind,
)

TITLE_FIELDS = ("title", "name")
TEXT_FIELDS = ("text", "description", "body", "content")
_DELIMITERS = ",;\t|"


def parse_json_lines(source: Source) -> ParsedItems:
    """One JSON object a line; blank lines don't count."""
    if not source.text.strip():
        yield SourceProblem(source.origin, EMPTY_FILE)
    for number, line in enumerate(source.text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{source.origin}:{number}"
        try:
            yield _to_record(source, _require_object(json.loads(line)))
        except json.JSONDecodeError as error:
            yield SourceProblem(place, f"not JSON: {error.msg} at column {error.colno}")
        except ValueError as error:
            yield SourceProblem(place, str(error))


def parse_csv(source: Source) -> ParsedItems:
    """The first line names the columns; the delimiter is the one it holds most of."""
    if not source.text.strip():
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    head = source.text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    rows = csv.reader(io.StringIO(source.text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = _parse_header(next(rows))
    except (ValueError, csv.Error) as error:
        yield SourceProblem(f"{source.origin}:1", f"the first line must name the columns: {error}")
        return
    while True:
        place = f"{source.origin}:{rows.line_num + 1}"
        try:
            cells = next(rows)
            if any(cells):
                yield _to_record(source, _zip_cells(columns, cells))
        except StopIteration:
            return
        except csv.Error as error:
            yield SourceProblem(place, f"not CSV: {error}; is a quotation mark not closed?")
        except ValueError as error:
            yield SourceProblem(place, str(error))


def _parse_header(names: list[str]) -> list[str]:
    columns = [_column_name(name) for name in names]
    if len(set(columns)) < len(columns) or "" in columns:
        raise ValueError("each needs a name of its own")
    return columns


def _require_object(document: object) -> dict[str, Any]:
    if isinstance(document, dict):
        return document
    raise ValueError(f"an object is expected, not {type(document).__name__}")


def _zip_cells(columns: list[str], cells: list[str]) -> dict[str, Attribute | None]:
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells for {len(columns)} columns")
    return dict(zip(columns, map(parse_cell, cells), strict=True))


def _column_name(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", name.strip().lower().lstrip("\ufeff")).strip("_")


def _to_record(source: Source, given: Mapping[str, Any]) -> Record:
    """Raises ValueError naming the field."""
    stem = posixpath.splitext(posixpath.basename(source.origin))[0]
    fields = {name: value for name, value in given.items() if value is not None and value != ""}
    kind = to_kind(stem) if "kind" not in fields else str(fields.pop("kind"))
    digest = short_digest(json.dumps(given, sort_keys=True, default=str))
    record_id = str(fields.pop("id", f"{stem}-{digest}"))
    links = tuple(_parse_links(fields.pop("links", ())))
    extra = fields.pop("attributes", {})
    if not isinstance(extra, dict):
        raise ValueError(f"attributes: an object is expected, not {extra!r}")  # noqa: TRY004 - a bad line, like the others
    place = str(fields.pop("source", f"{source.origin}#{record_id}"))
    title = _pop_first(fields, TITLE_FIELDS)
    text = _pop_first(fields, TEXT_FIELDS)
    if "date" in fields and "occurred_on" not in fields:
        fields["occurred_on"] = fields.pop("date")
    attributes = {name: _to_attribute(name, value) for name, value in {**extra, **fields}.items()}
    said = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in attributes.items())
    title = title or f"{kind.replace('_', ' ').capitalize()} {record_id}"
    return Record(record_id, kind, title, text or said or title, place, attributes, links)


def _pop_first(fields: dict[str, Any], names: Iterable[str]) -> str:
    """The first of these fields that is there; the others stay attributes."""
    for name in names:
        if name in fields:
            return str(fields.pop(name))
    return ""


def _to_attribute(name: str, value: object) -> Attribute:
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(str(one) for one in value)
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"{name}: text, a number or true/false is expected, not {value!r:.60}")  # noqa: TRY004 - a bad line, like the others
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError(f"{name}: {value} is no number that can be stored")
    return value


def _parse_links(given: object) -> Iterable[Link]:
    items = given.split() if isinstance(given, str) else given
    if not isinstance(items, list | tuple):
        raise ValueError(f"links: a list is expected, not {given!r:.60}")  # noqa: TRY004 - a bad line, like the others
    for item in items:
        if isinstance(item, dict) and set(item) == {"kind", "target"}:
            yield Link(str(item["kind"]), str(item["target"]))
        elif isinstance(item, str) and ":" in item:
            kind, _, target = item.partition(":")
            yield Link(kind, target)
        else:
            raise ValueError(
                f'links: write "KIND:target" or {{"kind", "target"}}, not {item!r:.60}'
            )
