"""Style as a test: short files and short functions, tests included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = [
    "activities",
    "benchmarks",
    "examples",
    "ops",
    "router",
    "sluice",
    "tests",
    "workflows",
]
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 60


def source_files() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted([*found, ROOT / "worker.py"])


def length_problems(path: Path) -> Iterator[str]:
    text = path.read_text()
    place = path.relative_to(ROOT)
    if (lines := len(text.splitlines())) > FILE_LINES_MAX:
        yield f"{place}: {lines} lines; split it, {FILE_LINES_MAX} is the limit"
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{place}:{node.lineno}: {node.name} has {length} lines of {FUNCTION_LINES_MAX}"


def test_no_file_and_no_function_is_too_long() -> None:
    offenders = [offence for path in source_files() for offence in length_problems(path)]
    if offenders:
        pytest.fail("\n".join(offenders), pytrace=False)


def test_every_package_is_looked_at() -> None:
    """A new top-level package must be named above, or nobody would measure it."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= set(FOLDERS)
