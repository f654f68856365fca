"""YAML files checked against a model. Every problem has its field and line, all of them at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sluice.rollout.errors import Diagnostic, PlanError
from sluice.rollout.units import shorten
from sluice.rollout.yaml_nodes import BYTES_MAX, Lines, Location, compose, construct, inspect_nodes
from sluice.rollout.yaml_nodes import format_location as format_location  # noqa: PLC0414  its users import it here

Problem = tuple[Location, str]
Document = TypeVar("Document", bound=BaseModel)
Validator = Callable[[Any], tuple[Document | None, list[Problem]]]
"""Builds the document from YAML's data, or None, and lists the problems."""


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises:
        PlanError: the file can't be read, is not UTF-8, or is longer than ``BYTES_MAX``.
    """
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(content) <= BYTES_MAX:
            raise _unreadable(path, f"it is not UTF-8: {error}") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if len(content) > BYTES_MAX:
        raise _unreadable(path, f"it is longer than {BYTES_MAX:,} bytes")
    return text


def _unreadable(path: Path, reason: str) -> PlanError:
    return PlanError((Diagnostic(None, str(path), f"can't be read: {reason}"),))


def parse(text: str, kind: str, required_fields: str, validate: Validator[Document]) -> Document:
    """Validate the text of one ``kind`` of file (plan, scenario) that has ``required_fields``.

    Raises:
        PlanError: with one Diagnostic for each problem.
    """
    node = compose(text, kind)
    lines: Lines = {}
    diagnostics = list(inspect_nodes(node, lines)) if node is not None else []
    if not isinstance(node, yaml.MappingNode):
        raise PlanError((Diagnostic(1, kind, f"must be a mapping with {required_fields}"),))
    replaced = {diagnostic.field for diagnostic in diagnostics}
    document, problems = validate(construct(node, kind))
    located = [_locate(place, message, lines, kind) for place, message in problems]
    diagnostics += [diagnostic for diagnostic in located if diagnostic.field not in replaced]
    if document is None or diagnostics:
        raise PlanError(_deduplicate(diagnostics))
    return document


def with_lines(
    text: str, problems: Iterable[Problem], kind: str = "plan"
) -> tuple[Diagnostic, ...]:
    """Return the problems of the file that ``text`` holds with their lines, in their order."""
    lines: Lines = {}
    if (node := compose(text, kind)) is not None:
        list(inspect_nodes(node, lines))
    located = [_locate(place, message, lines, kind) for place, message in problems]
    return tuple(sorted(located, key=lambda diagnostic: diagnostic.line or 0))


def problems_in(error: ValidationError, known_fields: Sequence[str] = ()) -> list[Problem]:
    """Return pydantic's errors in words that name the value and the fix."""
    return [(tuple(e["loc"]), _message(e, known_fields)) for e in error.errors()]


def field_names(model: type[BaseModel]) -> list[str]:
    """Return the name of each field of a document, to suggest the one that was meant."""
    schema = model.model_json_schema()
    parts = (schema, *schema.get("$defs", {}).values())
    return sorted({name for part in parts for name in part.get("properties", {})})


def _locate(place: Location, message: str, lines: Lines, kind: str) -> Diagnostic:
    # A rule between fields names the first one, whose line is meant.
    line = lines.get((*place, message.partition(" ")[0])) or _line_of(place, lines)
    return Diagnostic(line, format_location(place, kind), message)


def _deduplicate(diagnostics: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by line, and keep one diagnostic of an anchor, however many aliases repeat it."""
    groups: dict[tuple[int | None, str, str], list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        field = diagnostic.field.rpartition(".")[2]
        groups.setdefault((diagnostic.line, diagnostic.message, field), []).append(diagnostic)
    unique = (
        first
        if not aliases
        else replace(first, field=f"{first.field} (and {len(aliases)} aliases of it)")
        for first, *aliases in groups.values()
    )
    return tuple(sorted(unique, key=lambda diagnostic: diagnostic.line or 0))


_MESSAGES = {
    "missing": "is missing; add it",
    "string_type": "must be text; put the value in quotes",
    "tuple_type": "must be a list",
    "int_type": "{value} is not a whole number; write for example 100",
    "int_parsing": "{value} is not a whole number; write for example 100",
    "int_from_float": "{value} is not a whole number; write for example 100",
    "finite_number": "{value} is not a finite number; write for example 100",
    "string_too_long": "is too long: {value}; shorten it to {max_length} characters",
    "string_too_short": "is empty; write a text",
    "greater_than_equal": "{value} is too small; it must be at least {ge}",
    "less_than_equal": "{value} is too large; it must be at most {le}",
    "bool_parsing": "{value} is neither true nor false",
    "bool_type": "{value} is neither true nor false",
    "literal_error": "{value} is not one of {expected}",
    "enum": "{value} is not one of {expected}",
}
"""Pydantic's own messages do not name the value."""


def _message(error: ErrorDetails, known_fields: Sequence[str]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_field(str(error["loc"][-1]), known_fields)
    if kind in _MESSAGES:
        return _MESSAGES[kind].format(value=shorten(error["input"]), **error.get("ctx", {}))
    if kind == "string_pattern_mismatch":
        return f"{shorten(error['input'])} has another form than {error['ctx']['pattern']}"
    return error["msg"].removeprefix("Value error, ")


def _unknown_field(name: str, known_fields: Sequence[str]) -> str:
    if name in known_fields:
        return "is not a field of this place; it belongs elsewhere in the file"
    near = get_close_matches(name.lower(), known_fields, n=1)
    return f"is not a known field; {f'do you mean {near[0]}?' if near else 'check the spelling'}"


def _line_of(place: Location, lines: Lines) -> int | None:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place)
