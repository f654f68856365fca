"""YAML files checked against a model: every mistake with its field and line, all of them at once."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rollout.errors import Mistake, PlanError

Place = tuple[str | int, ...]
Found = tuple[Place, str]
Lines = dict[Place, int]
Document = TypeVar("Document", bound=BaseModel)
Validate = Callable[[Any], tuple[Document | None, list[Found]]]
"""Turns YAML's data into the document and what is wrong; None when nothing can be made of it."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader, but a key written twice is a mistake: YAML would silently keep the last."""


def read_text(path: Path) -> str:
    """Read a file; PlanError names it when it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PlanError((Mistake(None, str(path), f"can't be read: {reason}"),)) from error


def parse(text: str, kind: str, needed: str, validate: Validate[Document]) -> Document:
    """Validate the text of one ``kind`` of file (plan, scenario) that must have ``needed`` fields.

    Raises:
        PlanError: with one Mistake for each thing that is wrong.
    """
    node = _compose(text, kind)
    lines: Lines = {}
    mistakes: list[Mistake] = []
    if node is not None:
        _walk(node, (), lines, mistakes)
    if not isinstance(node, yaml.MappingNode):
        raise PlanError((Mistake(1, kind, f"must be a mapping with {needed}"),))
    document, found = validate(_UniqueKeyLoader(text).get_single_data())
    mistakes += [Mistake(_line(place, lines), _dotted(place, kind), text) for place, text in found]
    if document is None or mistakes:
        raise PlanError(_told_once(mistakes))
    return document


def located(text: str, found: Iterable[Found], kind: str = "plan") -> tuple[Mistake, ...]:
    """What was found in the file that ``text`` holds, with lines, in their order."""
    lines: Lines = {}
    if (node := _compose(text, kind)) is not None:
        _walk(node, (), lines, [])
    told = [Mistake(_line(place, lines), _dotted(place, kind), said) for place, said in found]
    return tuple(sorted(told, key=lambda mistake: mistake.line or 0))


def found_in(error: ValidationError) -> list[Found]:
    """What pydantic found wrong, in words that say what to do."""
    return [(tuple(e["loc"]), _message(e["type"], e["msg"])) for e in error.errors()]


def _told_once(mistakes: list[Mistake]) -> tuple[Mistake, ...]:
    """Sort by line, and tell a mistake in an anchor once, however many aliases repeat it."""
    groups: dict[tuple[int | None, str], list[Mistake]] = {}
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
        raise PlanError((Mistake(line, kind, f"is no YAML: {error.problem}"),)) from error
    except yaml.YAMLError as error:
        raise PlanError((Mistake(None, kind, f"is no YAML: {error}"),)) from error


def _walk(node: yaml.Node, place: Place, lines: Lines, mistakes: list[Mistake]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            if inner in lines and key.value != "<<":
                line = key.start_mark.line + 1
                mistakes.append(Mistake(line, _dotted(inner), "is written twice; keep one"))
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, mistakes)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*place, index), lines, mistakes)


def _message(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return "is not a known field; check the spelling"
    return message.removeprefix("Value error, ")


def _line(place: Place, lines: Lines) -> int | None:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place)


def _dotted(place: Place, kind: str = "") -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or kind
