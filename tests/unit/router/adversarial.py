"""Strings on which a backtracking pattern needs more than linear time.

For each repetition in a pattern: text that leads to it, its body many times over, and an end that
does not match (Davis et al. 2018, "The Impact of Regular Expression Denial of Service").
"""

import ast
import importlib
import pkgutil
import re
import re._constants as sre  # type: ignore[import-not-found]  # the parser's own names
import re._parser as sre_parser  # type: ignore[import-not-found]  # no public parser exists
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

LENGTH = 2000
"""The longest question (``Limits.question_chars``)."""
ENDS = ("\x00", " !", "é", "")
COMMON_BODIES = (
    "a",
    " ",
    "a ",
    "a, ",
    ",",
    "1",
    "1 ",
    "the ",
    "a and ",
    '"',
    "(",
    "> ",
    "-",
    "é",
    "A ",
)


def patterns_of(package: str) -> dict[str, re.Pattern[str]]:
    """Return every compiled text pattern in the globals of a package's modules, by its place."""
    found: dict[str, re.Pattern[str]] = {}
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            for pattern in _patterns_in(value, depth=4):
                if isinstance(pattern.pattern, str):
                    found.setdefault(pattern.pattern, pattern)
                    found[f"{info.name}.{name}: {pattern.pattern[:60]}"] = found.pop(
                        pattern.pattern
                    )
    return {place: pattern for place, pattern in found.items() if place != pattern.pattern}


def inline_patterns(folder: Path) -> dict[str, re.Pattern[str]]:
    """Return the patterns that functions pass to ``re`` as literals, by their place."""
    found = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re")),
                    args=[ast.Constant(value=str(text)), *_],
                ):
                    found[f"{path.name}:{node.lineno}"] = re.compile(text)
    return found


def _patterns_in(value: object, depth: int) -> Iterator[re.Pattern[Any]]:  # noqa: C901 - one case per container
    if isinstance(value, re.Pattern):
        yield value
    elif depth == 0 or isinstance(value, (str, bytes, type)):
        return
    elif isinstance(value, dict):
        for each in value.values():
            yield from _patterns_in(each, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _patterns_in(each, depth - 1)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _patterns_in(getattr(value, field.name, None), depth - 1)


def attacks_on(pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield strings of ``LENGTH`` characters that repeat the body of each repetition."""
    seen = set()
    tree = sre_parser.parse(pattern.pattern, pattern.flags)
    bodies = [*_repetitions(tree, ""), *(("", body) for body in COMMON_BODIES)]
    for prefix, body in bodies:
        if not body or (prefix, body) in seen:
            continue
        seen.add((prefix, body))
        for end in ENDS:
            yield (prefix + body * LENGTH)[: LENGTH - len(end)] + end


def _repetitions(tree: Iterable[Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (text before, text of the body) for each repetition, also for nested ones."""
    for operator, argument in tree:
        if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            low, high, body = argument
            if high > 1:
                yield prefix, sample(body)
            yield from _repetitions(body, prefix)
            prefix += sample(body) * max(low, 1)
        elif operator is sre.BRANCH:
            for branch in argument[1]:
                yield from _repetitions(branch, prefix)
            prefix += sample(argument[1][0])
        elif operator is sre.SUBPATTERN:
            yield from _repetitions(argument[3], prefix)
            prefix += sample(argument[3])
        elif operator in (sre.ASSERT, sre.ASSERT_NOT):
            yield from _repetitions(argument[1], prefix)
        else:
            prefix += sample([(operator, argument)])


def sample(tree: Iterable[Any]) -> str:  # noqa: C901 - one case per operator
    """Return a short text that the parsed pattern matches."""
    text = ""
    for operator, argument in tree:
        if operator is sre.LITERAL:
            text += chr(argument)
        elif operator is sre.IN:
            text += _member(argument)
        elif operator in (sre.ANY, sre.NOT_LITERAL):
            text += "a"
        elif operator in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            text += sample(argument[2]) * max(1, argument[0])
        elif operator is sre.BRANCH:
            text += sample(argument[1][0])
        elif operator is sre.SUBPATTERN:
            text += sample(argument[3])
        elif operator is sre.ATOMIC_GROUP:
            text += sample(argument)
    return text


def _member(items: list[Any]) -> str:
    """Return a character of a set; of a negated one, a letter that is rarely excluded."""
    for operator, argument in items:
        if operator is sre.NEGATE:
            return "a"
        if operator is sre.LITERAL:
            return chr(argument)
        if operator is sre.RANGE:
            return chr(argument[0])
        if operator is sre.CATEGORY:
            name = str(argument)
            return {"DIGIT": "1", "SPACE": " "}.get(name.rpartition("_")[2], "a")
    return "a"
