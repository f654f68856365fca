"""YAML files checked against a model. Every problem has its field and line, all of them at once."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sluice.rollout.errors import Diagnostic, PlanError
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


def problems_in(error: ValidationError) -> list[Problem]:
    """Return pydantic's errors in words that name the fix."""
    return [(tuple(e["loc"]), _message(e["type"], e["msg"])) for e in error.errors()]


def _locate(place: Location, message: str, lines: Lines, kind: str) -> Diagnostic:
    return Diagnostic(_line_of(place, lines), format_location(place, kind), message)


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
    "extra_forbidden": "is not a known field; check the spelling",
    "string_type": "must be text; put the value in quotes",
}


def _message(kind: str, message: str) -> str:
    return _MESSAGES.get(kind, message.removeprefix("Value error, "))


def _line_of(place: Location, lines: Lines) -> int | None:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place)
