"""Front matter of Markdown: YAML between ``---``, or TOML between ``+++``.

A field that cannot be read is lost alone. Values are read as the cells of a table are, so a text in
quotes stays one.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from router.knowledge.records import Attribute
from router.knowledge.sources.attributes import flatten
from router.knowledge.sources.cells import DATE_FIELDS, parse_cell
from router.knowledge.sources.dates import DateVotes
from router.knowledge.sources.naming import column_names
from router.knowledge.sources.source import ReadOptions

_BLOCK = re.compile(
    r"\A(?P<mark>---|\+\+\+)[ \t]*\n(?P<content>.*?)^(?:(?P=mark)|\.\.\.)[ \t]*$\n?",
    re.DOTALL | re.MULTILINE,
)
_FIELD = {
    "---": re.compile(r"""["']?[$@]?\w[\w .-]*["']?[ \t]*:(?:\s|$)"""),
    "+++": re.compile(r"""\[|["']?\w[\w.-]*["']?[ \t]*="""),
}
_TEXT_FIELDS = ("title", "kind", *DATE_FIELDS)
"""Fields whose text is kept as written: a title ``1.10`` stays a text."""
_RESERVED = frozenset({"id", "text", "source", "links", "embedding"})
_PLACE = re.compile(r" \(at [^)]*\)$")
_NULLS = ("", "~", "null", "Null", "NULL")
_PARSE_ERRORS = (yaml.YAMLError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The fields above a text, the text, and the reason for each field that was lost, by its line."""

    fields: dict[str, Any]
    body: str
    problems: dict[int, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a field that is one plain value, or an empty text."""
        value = self.fields.get(name)
        return "" if value is None or isinstance(value, dict | list) else str(value).strip()


@dataclass(frozen=True, slots=True)
class _Piece:
    """The source of one field, and its line in the file."""

    line: int
    text: str

    @property
    def name(self) -> str:
        """Return the field's name."""
        return re.split(r"[:=\]]", self.text, maxsplit=1)[0].strip("[\"' \t").lower()


class _Loader(yaml.BaseLoader):
    """YAML whose plain values are read as cells. An alias could stand for any amount of text."""

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:  # noqa: ANN401 - a cell
        text = super().construct_scalar(node)
        if node.style is not None:
            return text
        return None if text in _NULLS else parse_cell(text)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name) is not read: write the value itself")
        return super().compose_node(parent, index)


def split_front_matter(text: str) -> FrontMatter:
    """Return the front matter and the rest. A rule (``---``) above a text does not begin one."""
    match = _BLOCK.match(text)
    if match is None:
        return FrontMatter({}, text)
    pattern = _FIELD[match["mark"]]
    first = next((line for line in match["content"].splitlines() if _is_significant(line)), "")
    if match["content"].strip() and not pattern.match(first):
        return FrontMatter({}, text)
    pieces = list(_split_fields(match["content"], pattern))
    fields, problems = _parse_fields(_PARSERS[match["mark"]], match["content"], pieces)
    lines = {piece.name: piece.line for piece in reversed(pieces)}
    return FrontMatter(fields, text[match.end() :], problems, lines)


def _is_significant(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _parse_yaml(content: str) -> dict[str, Any]:
    document = _lower(yaml.load(content, _Loader))  # noqa: S506 - it makes texts, lists, mappings
    as_written = _lower(yaml.load(content, yaml.BaseLoader))  # noqa: S506 - texts only
    texts = {name: as_written[name] for name in _TEXT_FIELDS if document.get(name) is not None}
    return {**document, **texts}


def _lower(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError("a field is written as name: value")  # noqa: TRY004 - a bad field, like the others
    return {str(name).strip().lower(): value for name, value in document.items()}


def _parse_toml(content: str) -> dict[str, Any]:
    """Dates and times become texts."""
    return _lower(json.loads(json.dumps(tomllib.loads(content), default=str)))


_PARSERS: dict[str, Callable[[str], dict[str, Any]]] = {"---": _parse_yaml, "+++": _parse_toml}


def _split_fields(content: str, pattern: re.Pattern[str]) -> Iterator[_Piece]:
    """Yield the fields. The tables of TOML are one."""
    start, text = 0, ""
    for number, line in enumerate(content.splitlines(keepends=True), start=2):
        if pattern.match(line) and not text.startswith("["):
            if start:
                yield _Piece(start, text)
            start, text = number, ""
        text += line
    if start:
        yield _Piece(start, text)


def _parse_fields(
    parse: Callable[[str], dict[str, Any]], content: str, pieces: list[_Piece]
) -> tuple[dict[str, Any], dict[int, str]]:
    """Return the fields, and the reasons of those that are lost by line."""
    if not pieces:
        return {}, {}
    names = {piece.name for piece in pieces}
    try:
        if len(names) == len(pieces):
            return parse(content), {}
    except _PARSE_ERRORS:
        pass  # each field by itself names the bad one
    fields: dict[str, Any] = {}
    problems: dict[int, str] = {}
    for piece in pieces:
        reason = _parse_alone(parse, piece, fields)
        if reason:
            problems[piece.line] = f"{piece.name!r} in the front matter is left out: {reason}"
    return fields, problems


def _parse_alone(
    parse: Callable[[str], dict[str, Any]], piece: _Piece, fields: dict[str, Any]
) -> str:
    """Add one field to ``fields``, or return the reason why it cannot be read."""
    if piece.name in fields:
        return "it is written twice, and the first one counts"
    try:
        fields |= parse(piece.text)
    except _PARSE_ERRORS as error:
        reason = str(getattr(error, "problem", None) or error) or "nested too deep"
        language = "TOML" if parse is _parse_toml else "YAML"
        return f"not {language}: {_PLACE.sub('', reason)}. Put a text with signs in quotes"
    return ""


def to_attributes(
    front: FrontMatter, options: ReadOptions
) -> tuple[dict[str, Attribute], dict[int, str]]:
    """Return a document's attributes, and the reason for each field that is lost, by its line."""
    attributes: dict[str, Attribute] = {}
    problems = dict(front.problems)
    fields = {name: value for name, value in front.fields.items() if not _is_own(front, name)}
    for name, (field_name, value) in zip(column_names(fields), fields.items(), strict=True):
        try:
            flat, nested = flatten({_free_name(name): value})
            attributes |= flat
            attributes |= {n: json.dumps(v, ensure_ascii=False) for n, v in nested.items()}
        except ValueError as error:
            problems[front.lines.get(field_name, 1)] = str(error)
    if day_field := next((name for name in DATE_FIELDS if front.text(name)), ""):
        text = front.text(day_field)
        day, reason = _read_date(text, options.date_format)
        attributes["occurred_on" if day else f"{day_field}_text"] = day or text
        if reason:
            problems[front.lines.get(day_field, 1)] = f"{day_field}: {text[:40]!r} {reason}"
    return attributes, problems


def _is_own(front: FrontMatter, name: str) -> bool:
    """Return True for a field that is not an attribute, but a part of the record itself."""
    return name in _TEXT_FIELDS and (bool(front.text(name)) or front.fields[name] is None)


def _free_name(name: str) -> str:
    """Return another name for an attribute that is named as a field of records."""
    return f"{name}_value" if name in _RESERVED or name in _TEXT_FIELDS else name


def _read_date(text: str, stated_format: str) -> tuple[str, str]:
    """Return the ISO date and an empty text, or an empty text and the reason."""
    votes = DateVotes()
    votes.add(text)
    column = votes.column(stated_format, is_date=True)
    if column and column.is_ambiguous:
        return "", "may be day or month first: say --date-format dmy or mdy"
    day = column.parse(text) if column else None
    return (day.isoformat(), "") if day else ("", "is not a date: write one like 2025-03-31")
