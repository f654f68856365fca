"""Rows of tables and JSON objects as records.

Known fields are ``id``, ``kind``, ``title`` (or ``name``), ``text`` (or ``description``, ``body``,
``content``), ``source``, ``attributes`` and ``links``; every other one is an attribute. A date
``occurred_on`` (or ``date``) is the record's own. Links are ``KIND:target``, or objects in JSON.
A text longer than the embedding model reads is cut into pieces, linked ``PART_OF`` the record.
"""

import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from router.knowledge.record_validation import InvalidRecordError, validate_record
from router.knowledge.records import Link, Record
from router.knowledge.sources.attributes import NESTING_MAX, flatten
from router.knowledge.sources.cells import DATE_FIELDS, CellReader
from router.knowledge.sources.chunks import split_chunks
from router.knowledge.sources.dates import parse_date
from router.knowledge.sources.naming import short_digest, to_kind, with_unit
from router.knowledge.sources.source import (
    ParsedItem,
    ParsedItems,
    ReadOptions,
    Source,
    SourceNote,
    SourceProblem,
)
from router.knowledge.sources.table_profile import Row, TableProfile, row_text

TITLE_FIELDS = ("title", "name")
TEXT_FIELDS = ("text", "description", "body", "content")
_OWN_FIELDS = (*TITLE_FIELDS, *TEXT_FIELDS, *DATE_FIELDS, "kind", "source", "links")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


class RowRecords:
    """Makes the records of one source's rows, from what their profile says."""

    def __init__(
        self, source: Source, options: ReadOptions, profile: TableProfile, *, typed: bool
    ) -> None:
        self._source = source
        self._stem = posixpath.splitext(posixpath.basename(source.origin))[0]
        self._profile = profile
        self._id_field = options.id_column or "id"
        self._ids_required = bool(options.id_column)
        self._ids_serve = self._ids_required or profile.ids_are_unique
        self._readers = {
            name: column.reader(name, options, typed=typed)
            for name, column in profile.columns.items()
        }
        own_fields = {*_OWN_FIELDS, self._id_field}
        for name in own_fields & self._readers.keys():
            self._readers[name] = self._readers[name].without_unit()
        self._names = {
            name: with_unit(name, reader.unit, self._readers)
            for name, reader in self._readers.items()
            if reader.unit
        }
        self._repeats: Counter[str] = Counter()
        self._id_lines: dict[int, int] = {}
        self._lost_dates: Counter[str] = Counter()
        self._infinite: Counter[str] = Counter()
        self._first_lost_date: dict[str, str] = {}

    def parse(self, rows: Iterable[tuple[int, Row | str]]) -> ParsedItems:
        """Yield the items of all rows. A text in place of a row is the reason why it is not one."""
        yield from self.notes()
        for line, row in rows:
            place = f"{self._source.origin}:{line}"
            if isinstance(row, str):
                yield SourceProblem(place, row)
                continue
            try:
                records = list(self.records(line, row))
                for record in records:
                    validate_record(record)
            except (ValueError, InvalidRecordError) as error:
                yield SourceProblem(place, str(error))
                continue
            yield from records
        yield from self.problems()

    def notes(self) -> Iterator[ParsedItem]:
        """Yield what the profile decided about the whole source."""
        if self._profile.ids and not self._ids_serve:
            repeated = self._profile.repeats
            yield SourceNote(
                self._source.origin,
                f"{self._id_field!r} repeats in {repeated} of {self._profile.rows} rows, so it is not "
                "an id: ids are made from the content. --id-column names another column",
            )
        for name, reader in self._readers.items():
            if reader.dates and reader.dates.is_ambiguous:
                yield SourceProblem(
                    self._source.origin,
                    f"the dates of {name!r} may be day or month first: they stay text. "
                    "Say --date-format dmy or mdy",
                )
            if reader.numbers and reader.numbers.is_ambiguous:
                yield SourceProblem(
                    self._source.origin,
                    f"the comma in the numbers of {name!r} may be a decimal sign or not: they stay "
                    "text. Say --decimal point or comma",
                )

    def records(self, line: int, row: Row) -> Iterator[Record]:
        """Yield the record of one row, its pieces, and the records nested in it.

        Raises:
            ValueError: the row cannot be a record; the message names the field.
        """
        fields = {
            self._names.get(name, name): self._readers.get(name, CellReader()).read(v)
            for name, v in row.items()
        }
        fields = {name: value for name, value in fields.items() if self._is_value(name, value)}
        local_id = self._local_id(line, fields, row)
        fields = self._with_date(line, fields)
        yield from _to_records(self._source, self._stem, local_id, fields)

    def _is_value(self, name: str, value: object) -> bool:
        """Return False for nothing, for NaN as for an empty cell, and for an infinite number.

        An infinite number is lost alone, and counted.
        """
        if isinstance(value, float) and math.isinf(value):
            self._infinite[name] += 1
            return False
        return value not in (None, "") and value == value  # noqa: PLR0124 - NaN is not itself

    def problems(self) -> Iterator[SourceProblem]:
        """Yield what was left out of rows that are in, once a column."""
        for name, count in self._infinite.items():
            yield SourceProblem(
                self._source.origin,
                f"{count} value{'s' if count > 1 else ''} of {name!r} cannot be stored, since a number "
                "must be finite: these records have no such attribute",
            )
        for name, count in self._lost_dates.items():
            yield SourceProblem(
                self._source.origin,
                f"{count} value{'s' if count > 1 else ''} of {name!r} cannot be read as a date "
                f"(first: {self._first_lost_date[name]}): these records have no date",
            )

    def _local_id(self, line: int, fields: dict[str, Any], row: Row) -> str:
        row_id = fields.pop(self._id_field, None) if self._ids_serve else fields.get(self._id_field)
        if self._ids_serve and isinstance(row_id, dict | list):
            raise ValueError(f"{self._id_field}: text or a number is expected, not {row_id!r:.60}")
        if self._ids_serve and row_id is not None:
            key = hash(str(row[self._id_field]))
            if key in self._profile.repeated_ids and self._id_lines.setdefault(key, line) != line:
                first = self._id_lines[key]
                raise ValueError(f"{self._id_field} {row_id!r} is that of line {first} already")
            return str(row_id)
        if self._ids_required:
            raise ValueError(f"{self._id_field}: the row has no id")
        if row_id is not None and not self._ids_serve:
            fields.pop(self._id_field)
            fields["id_value"] = row_id
        return f"{self._stem}-{self._content_name(row)}"

    def _content_name(self, row: Row) -> str:
        """Return a name made from the row's content. Equal rows are numbered."""
        text = row_text(row)
        digest = short_digest(text)
        if hash(text) not in self._profile.repeated_rows:
            return digest
        self._repeats[digest] += 1
        repeat = self._repeats[digest]
        return digest if repeat == 1 else f"{digest}-{repeat}"

    def _with_date(self, line: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Move the record's own date to ``occurred_on``; a bad date loses the date alone."""
        name = next((name for name in DATE_FIELDS if name in fields), None)
        if name is None:
            return fields
        value = fields.pop(name)
        dates = self._readers[name].dates if name in self._readers else None
        if (day := parse_date(str(value), "ymd")) is not None:  # its reader made it an ISO date
            return {**fields, "occurred_on": day.isoformat()}
        if dates is None or not dates.is_ambiguous:
            self._lost_dates[name] += 1
            self._first_lost_date.setdefault(name, f"line {line}, {str(value)[:40]!r}")
        return {**fields, f"{name}_text": value}


def _to_records(
    source: Source, stem: str, local_id: str, fields: dict[str, Any], nesting: int = 0
) -> Iterator[Record]:
    kind = str(fields.pop("kind")) if "kind" in fields else to_kind(stem)
    record_id = f"{source.origin}#{local_id}"
    links = tuple(_parse_links(fields.pop("links", ())))
    extra = fields.pop("attributes", {})
    if not isinstance(extra, dict):
        raise ValueError(f"attributes: an object is expected, not {extra!r:.60}")  # noqa: TRY004 - a bad line, like the others
    place = _require_safe_source(str(fields.pop("source", record_id)))
    title = _pop_first(fields, TITLE_FIELDS, ", ")
    text = _pop_first(fields, TEXT_FIELDS, "\n\n")
    attributes, nested = flatten({**extra, **fields})
    summary = "; ".join(f"{name.replace('_', ' ')}: {v}" for name, v in attributes.items())
    title = title or f"{kind.replace('_', ' ').capitalize()} {local_id}"
    first, *rest = split_chunks(text) or [summary or title]
    record = Record(record_id, kind, title, first, place, attributes, links, local_id)
    yield record
    yield from text_parts(record, rest)
    for name, items in nested.items():
        yield from _nested_records(source, record, name, items, nesting)


def text_parts(record: Record, texts: list[str]) -> Iterator[Record]:
    """Yield the later pieces of a record's text, each linked to it."""
    for number, text in enumerate(texts, start=2):
        place = f"{record.id}.{number}"
        link = Link("PART_OF", record.id)
        yield replace(
            record, id=place, kind=f"{record.kind}_part", text=text, attributes={}, links=(link,),
            local_id="", source=record.source,
        )  # fmt: skip


def _nested_records(
    source: Source, parent: Record, name: str, items: list[dict[str, Any]], nesting: int
) -> Iterator[Record]:
    """Yield a list of objects as records of their own, linked to the record that holds them."""
    if nesting >= NESTING_MAX:
        raise ValueError(f"{name}: nested more than {NESTING_MAX} levels deep")
    for number, item in enumerate(items, start=1):
        item_id = item.get("id", number)
        local_id = f"{parent.local_id}/{name}/{item_id}"
        fields = {key: CellReader(typed=True).read(v) for key, v in item.items() if key != "id"}
        fields = {key: value for key, value in fields.items() if value not in (None, "")}
        first, *rest = _to_records(source, name, local_id, fields, nesting + 1)
        yield replace(first, links=(*first.links, Link("PART_OF", parent.id)))
        yield from rest


def _pop_first(fields: dict[str, Any], names: Iterable[str], separator: str) -> str:
    """Take the first of these fields that is a plain value or a list of texts."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return separator.join(fields.pop(name))
        if name in fields and not isinstance(value, dict | list):
            return str(fields.pop(name))
    return ""


def _require_safe_source(text: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise ValueError(f"source: only http and https addresses can be shown, not {text!r:.60}")
    return text


def _parse_links(items: object) -> Iterator[Link]:
    links = items.split() if isinstance(items, str) else items
    if not isinstance(links, list | tuple):
        raise ValueError(f"links: a list is expected, not {items!r:.60}")  # noqa: TRY004 - a bad line, like the others
    for item in links:
        if isinstance(item, dict) and set(item) == {"kind", "target"}:
            yield Link(str(item["kind"]), str(item["target"]))
        elif isinstance(item, str) and ":" in item and "://" not in item:
            kind, _, target = item.partition(":")
            yield Link(kind, target)
        else:
            raise ValueError(
                f'links: write "KIND:target" or {{"kind", "target"}}, not {item!r:.60}'
            )
