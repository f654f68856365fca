"""YAML files checked against a model: every mistake with its field and line, all of them at once."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sluice.rollout.errors import Diagnostic, PlanError

Location = tuple[str | int, ...]
Problem = tuple[Location, str]
Lines = dict[Location, int]
Document = TypeVar("Document", bound=BaseModel)
Validator = Callable[[Any], tuple[Document | None, list[Problem]]]
"""Turns YAML's data into the document and what is wrong; None when nothing can be made of it."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader, but a key written twice is a mistake: YAML would silently keep the last."""


def read_text(path: Path) -> str:
    """Read a file; PlanError names it when it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PlanError((Diagnostic(None, str(path), f"can't be read: {reason}"),)) from error


def parse(text: str, kind: str, required_fields: str, validate: Validator[Document]) -> Document:
    """Validate the text of one ``kind`` of file (plan, scenario) that must have ``needed`` fields.

    Raises:
        PlanError: with one Mistake for each thing that is wrong.
    """
    node = _compose(text, kind)
    lines: Lines = {}
    mistakes: list[Diagnostic] = []
    if node is not None:
        _collect_lines(node, (), lines, mistakes)
    if not isinstance(node, yaml.MappingNode):
        raise PlanError((Diagnostic(1, kind, f"must be a mapping with {required_fields}"),))
    document, found = validate(_UniqueKeyLoader(text).get_single_data())
    mistakes += [
        Diagnostic(_line_of(place, lines), _format_location(place, kind), text)
        for place, text in found
    ]
    if document is None or mistakes:
        raise PlanError(_deduplicate(mistakes))
    return document


def with_lines(
    text: str, problems: Iterable[Problem], kind: str = "plan"
) -> tuple[Diagnostic, ...]:
    """What was found in the file that ``text`` holds, with lines, in their order."""
    lines: Lines = {}
    if (node := _compose(text, kind)) is not None:
        _collect_lines(node, (), lines, [])
    told = [
        Diagnostic(_line_of(place, lines), _format_location(place, kind), said)
        for place, said in problems
    ]
    return tuple(sorted(told, key=lambda mistake: mistake.line or 0))


def problems_in(error: ValidationError) -> list[Problem]:
    """What pydantic found wrong, in words that say what to do."""
    return [(tuple(e["loc"]), _message(e["type"], e["msg"])) for e in error.errors()]


def _deduplicate(mistakes: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by line, and tell a mistake in an anchor once, however many aliases repeat it."""
    groups: dict[tuple[int | None, str], list[Diagnostic]] = {}
    for mistake in mistakes:
        groups.setdefault((mistake.line, mistake.message), []).append(mistake)
    told = (
        first
        if not more
        else replace(first, field=f"{first.field} (and {len(more)} aliases of it)")
        for first, *more in groups.values()
    )
    return tuple(sorted(told, key=lambda mistake: mistake.line or 0))


def _compose(text: str, kind: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise PlanError((Diagnostic(line, kind, f"is no YAML: {error.problem}"),)) from error
    except yaml.YAMLError as error:
        raise PlanError((Diagnostic(None, kind, f"is no YAML: {error}"),)) from error


def _collect_lines(
    node: yaml.Node, place: Location, lines: Lines, mistakes: list[Diagnostic]
) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            if inner in lines and key.value != "<<":
                line = key.start_mark.line + 1
                mistakes.append(
                    Diagnostic(line, _format_location(inner), "is written twice; keep one")
                )
            lines[inner] = key.start_mark.line + 1
            _collect_lines(value, inner, lines, mistakes)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*place, index), lines, mistakes)


def _message(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return "is not a known field; check the spelling"
    return message.removeprefix("Value error, ")


def _line_of(place: Location, lines: Lines) -> int | None:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place)


def _format_location(place: Location, kind: str = "") -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or kind
