"""YAML's nodes: limits, plain values only, and the line of each.

The values of a plan mean the same to every reader: no tags, no dates, no numbers in octal,
hexadecimal or base 60, none with underscores (YAML 1.1 reads ``48:00`` as 2,880 and ``025`` as 21).
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from sluice.rollout.errors import Diagnostic, PlanError
from sluice.rollout.printable import unprintable_problem

BYTES_MAX = 500_000
NODES_MAX = 50_000
"""Values of a file, those that an alias repeats counted each time."""
DEPTH_MAX = 40
DIGITS_MAX = 300
Location = tuple[str | int, ...]
Lines = dict[Location, int]
_PREFIX = "tag:yaml.org,2002:"
_MERGE = f"{_PREFIX}merge"
_NOT_DECIMAL = re.compile(
    r"[-+]?(0[0-9_]+(\.[0-9_]*)?|0[xob][0-9a-fA-F_]+|[0-9]+_[0-9_]*(\.[0-9_]*)?)"
)
_FOREIGN_INDENTATION = re.compile(r"^ *([^\S \t\r\n]|[\u200b\u2060])", re.MULTILINE)
_PROBLEMS = {
    "but found another document": "a second document begins here; keep one, without the line ---",
    "found a tab character that violates indentation": "is indented by a tab; write spaces",
    "found character that cannot start any token": "begins with a tab or a reserved character; "
    "write spaces, or put the text in quotes",
}
"""The parser's own words that name no fix."""
_RESOLVERS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)", "-+.0123456789"),
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
)  # fmt: skip


class _PlainLoader(yaml.CSafeLoader):
    """YAML's safe loader, without the number formats and dates of YAML 1.1."""


_PlainLoader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _RESOLVERS:
    _PlainLoader.add_implicit_resolver(
        _PREFIX + _name, re.compile(f"(?:{_pattern})$"), [c.strip("\0") for c in _first]
    )


def compose(text: str, kind: str) -> yaml.Node | None:
    """Return the root node of ``text``.

    Raises:
        PlanError: it is not YAML, or exceeds the limits of size, depth or values.
    """
    try:
        _require_limits(text, kind)
        return yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        problem = _PROBLEMS.get(str(error.problem)) or f"is not YAML: {error.problem}"
        raise PlanError((Diagnostic(line, kind, problem),)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"holds the character U+{ord(text[error.position]):04X}; remove it"
        raise PlanError((Diagnostic(line, kind, problem),)) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise PlanError((Diagnostic(None, kind, f"is not YAML: {error}"),)) from error


def construct(node: yaml.Node, kind: str) -> Any:  # noqa: ANN401  YAML is anything
    """Return the data of a node that ``inspect_nodes`` has cleaned.

    Raises:
        PlanError: a merge key ``<<`` names something that is not a mapping.
    """
    try:
        return _PlainLoader("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise PlanError((Diagnostic(line, kind, f"is not YAML: {error.problem}"),)) from error


def inspect_nodes(node: yaml.Node, lines: Lines, place: Location = ()) -> Iterator[Diagnostic]:
    """Yield the problems of a node, fill in ``lines``, and replace values that have a problem."""
    lines.setdefault(place, node.start_mark.line + 1)
    if message := _node_problem(node):
        yield Diagnostic(node.start_mark.line + 1, format_location(place, "file"), message)
        _blank(node)
    if isinstance(node, yaml.MappingNode):
        yield from _inspect_mapping(node, lines, place)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from inspect_nodes(item, lines, (*place, index))


def format_location(place: Location, kind: str = "") -> str:
    """Return the place as people write it: ``steps[2].gates[0].threshold``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or kind


def _inspect_mapping(node: yaml.MappingNode, lines: Lines, place: Location) -> Iterator[Diagnostic]:
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            message = "has a list or mapping as a key; put {{ … }} in quotes"
            yield Diagnostic(key.start_mark.line + 1, format_location(place, "file"), message)
    node.value = [entry for entry in node.value if isinstance(entry[0], yaml.ScalarNode)]
    for key, value in node.value:
        inner = (*place, key.value)
        line = key.start_mark.line + 1
        if message := _key_problem(key, inner, lines):
            yield Diagnostic(line, format_location(inner), message)
        if key.tag != _MERGE:
            key.tag = f"{_PREFIX}str"
        lines[inner] = line
        yield from inspect_nodes(value, lines, inner)


def _key_problem(key: yaml.ScalarNode, place: Location, lines: Lines) -> str:
    if unprintable := unprintable_problem(key.value):
        return unprintable
    if place not in lines:
        return ""
    return "is written twice; " + ("write <<: [*a, *b]" if key.tag == _MERGE else "keep one")


def _node_problem(node: yaml.Node) -> str:
    expected = _PlainLoader.DEFAULT_MAPPING_TAG
    if isinstance(node, yaml.SequenceNode):
        expected = _PlainLoader.DEFAULT_SEQUENCE_TAG
    if isinstance(node, yaml.ScalarNode):
        expected = _PlainLoader("").resolve(yaml.ScalarNode, node.value, (not node.style, True))  # type: ignore[no-untyped-call]
    if node.tag != expected:
        tag = node.tag.replace(_PREFIX, "!!")
        return f"has the tag {tag}; remove it, a plan holds plain values only"
    return _scalar_problem(node) if isinstance(node, yaml.ScalarNode) else ""


def _scalar_problem(node: yaml.ScalarNode) -> str:
    if not node.style and _NOT_DECIMAL.fullmatch(node.value):
        return (
            f"{node.value!r} is not a decimal number: YAML readers disagree about its value; "
            "write it without leading zero, prefix or underscore, or put text in quotes"
        )
    if not node.style and not node.value:
        return "has no value; write one, or remove the line"
    if node.tag.endswith((":int", ":float")) and len(node.value) > DIGITS_MAX:
        return f"is a number of {len(node.value):,} digits; write a smaller one"
    return unprintable_problem(node.value)


def _blank(node: yaml.Node) -> None:
    """Replace the value by what the rest of the file can be checked with."""
    if isinstance(node, yaml.ScalarNode):
        kind = "str" if unprintable_problem(node.value) else "int"
        node.tag, node.value, node.style = f"{_PREFIX}{kind}", "1", None
    else:
        is_mapping = isinstance(node, yaml.MappingNode)
        node.tag = _PREFIX + ("map" if is_mapping else "seq")


def _require_limits(text: str, kind: str) -> None:
    """Count values and depth on the events, before any node exists."""
    if len(text) > BYTES_MAX:
        raise PlanError((Diagnostic(None, kind, f"is longer than {BYTES_MAX:,} characters"),))
    if match := _FOREIGN_INDENTATION.search(text):
        number = text.count("\n", 0, match.start(1)) + 1
        problem = f"is indented by the character U+{ord(match[1]):04X}; write spaces"
        raise PlanError((Diagnostic(number, kind, problem),))
    counter = _NodeCounter()
    for event in yaml.parse(text, Loader=_PlainLoader):
        if problem := counter.add(event):
            line = event.start_mark.line + 1 if event.start_mark else None
            raise PlanError((Diagnostic(line, kind, problem),))


class _NodeCounter:
    """The number of values so far, those of aliases included, and the depth."""

    def __init__(self) -> None:
        self._count = 0
        self._sizes: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = []

    def add(self, event: yaml.Event) -> str:
        """Count one event, and return the limit that it exceeds or an empty text."""
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in self._open):
                return f"*{event.anchor} contains itself"
            self._count += self._sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.NodeEvent):
            self._count += 1
        self._follow_depth(event)
        if self._count > NODES_MAX:
            return f"holds more than {NODES_MAX:,} values with its aliases; repeat less"
        if len(self._open) > DEPTH_MAX:
            return f"is nested more than {DEPTH_MAX} levels deep; a plan needs about 8"
        return ""

    def _follow_depth(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, self._count))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self._open.pop()
            if anchor is not None:
                self._sizes[anchor] = self._count - before + 1
