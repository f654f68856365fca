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

from router.records import Attribute, Link, Record
from router.sources.base import EMPTY, Problem, Read, Source, kind_of, short_digest, typed

TITLE = ("title", "name")
TEXT = ("text", "description", "body", "content")
_DELIMITERS = ",;\t|"


def json_lines(source: Source) -> Read:
    """One JSON object a line; blank lines don't count."""
    if not source.text.strip():
        yield Problem(source.origin, EMPTY)
    for number, line in enumerate(source.text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{source.origin}:{number}"
        try:
            yield _record(source, _object(json.loads(line)))
        except json.JSONDecodeError as error:
            yield Problem(place, f"not JSON: {error.msg} at column {error.colno}")
        except ValueError as error:
            yield Problem(place, str(error))


def csv_rows(source: Source) -> Read:
    """The first line names the columns; the delimiter is the one it holds most of."""
    if not source.text.strip():
        yield Problem(source.origin, EMPTY)
        return
    head = source.text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    rows = csv.reader(io.StringIO(source.text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = _columns(next(rows))
    except (ValueError, csv.Error) as error:
        yield Problem(f"{source.origin}:1", f"the first line must name the columns: {error}")
        return
    while True:
        place = f"{source.origin}:{rows.line_num + 1}"
        try:
            cells = next(rows)
            if any(cells):
                yield _record(source, _named(columns, cells))
        except StopIteration:
            return
        except csv.Error as error:
            yield Problem(place, f"not CSV: {error}; is a quotation mark not closed?")
        except ValueError as error:
            yield Problem(place, str(error))


def _columns(names: list[str]) -> list[str]:
    columns = [_column(name) for name in names]
    if len(set(columns)) < len(columns) or "" in columns:
        raise ValueError("each needs a name of its own")
    return columns


def _object(document: object) -> dict[str, Any]:
    if isinstance(document, dict):
        return document
    raise ValueError(f"an object is expected, not {type(document).__name__}")


def _named(columns: list[str], cells: list[str]) -> dict[str, Attribute | None]:
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells for {len(columns)} columns")
    return dict(zip(columns, map(typed, cells), strict=True))


def _column(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", name.strip().lower().lstrip("\ufeff")).strip("_")


def _record(source: Source, given: Mapping[str, Any]) -> Record:
    """Raises ValueError naming the field."""
    stem = posixpath.splitext(posixpath.basename(source.origin))[0]
    fields = {name: value for name, value in given.items() if value is not None and value != ""}
    kind = kind_of(stem) if "kind" not in fields else str(fields.pop("kind"))
    digest = short_digest(json.dumps(given, sort_keys=True, default=str))
    record_id = str(fields.pop("id", f"{stem}-{digest}"))
    links = tuple(_links(fields.pop("links", ())))
    extra = fields.pop("attributes", {})
    if not isinstance(extra, dict):
        raise ValueError(f"attributes: an object is expected, not {extra!r}")  # noqa: TRY004 - a bad line, like the others
    place = str(fields.pop("source", f"{source.origin}#{record_id}"))
    title = _taken(fields, TITLE)
    text = _taken(fields, TEXT)
    if "date" in fields and "occurred_on" not in fields:
        fields["occurred_on"] = fields.pop("date")
    attributes = {name: _scalar(name, value) for name, value in {**extra, **fields}.items()}
    said = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in attributes.items())
    title = title or f"{kind.replace('_', ' ').capitalize()} {record_id}"
    return Record(record_id, kind, title, text or said or title, place, attributes, links)


def _taken(fields: dict[str, Any], names: Iterable[str]) -> str:
    """The first of these fields that is there; the others stay attributes."""
    for name in names:
        if name in fields:
            return str(fields.pop(name))
    return ""


def _scalar(name: str, value: object) -> Attribute:
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(str(one) for one in value)
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"{name}: text, a number or true/false is expected, not {value!r:.60}")  # noqa: TRY004 - a bad line, like the others
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError(f"{name}: {value} is no number that can be stored")
    return value


def _links(given: object) -> Iterable[Link]:
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
