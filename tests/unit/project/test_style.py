"""The limits of CONTRIBUTING.md: short files, short functions, small folders, one name a class."""

import ast
import builtins
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source_tree import ROOT, python_files, source_nodes

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
PRODUCT = ["activities", "router", "sluice", "workflows"]
ERROR_LINE = re.compile(r"^\s+([A-Z]\w+(?:, [A-Z]\w+)*):", re.MULTILINE)
ERROR_IN_SENTENCE = re.compile(r"[Rr]aises? ([A-Z]\w+Error)\b")
FILES_MAX = 20
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 60


def source_files() -> list[Path]:
    return [*python_files(*FOLDERS), ROOT / "worker.py"]


def length_problems(path: Path) -> Iterator[str]:
    place = path.relative_to(ROOT)
    if (lines := len(path.read_text().splitlines())) > FILE_LINES_MAX:
        yield f"{place}: {lines} lines; split it, {FILE_LINES_MAX} is the limit"
    for node in source_nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{place}:{node.lineno}: {node.name} has {length} lines of {FUNCTION_LINES_MAX}"


def test_no_file_and_no_function_is_too_long() -> None:
    offenders = [offence for path in source_files() for offence in length_problems(path)]
    if offenders:
        pytest.fail("\n".join(offenders), pytrace=False)


def test_a_folder_has_no_more_files_than_a_reader_takes_in() -> None:
    modules = (path for path in source_files() if path.name != "__init__.py")
    sizes = Counter(path.parent.relative_to(ROOT) for path in modules)
    assert {str(folder): size for folder, size in sizes.items() if size > FILES_MAX} == {}


def test_a_class_name_has_one_meaning_in_the_product() -> None:
    places = defaultdict(list)
    for path in python_files(*PRODUCT):
        for node in source_nodes(path):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def named_errors(text: str) -> Iterator[str]:
    """Yield the errors that a docstring names, in its section or in a sentence."""
    _, _, section = text.partition("Raises:")
    for names in ERROR_LINE.findall(section):
        yield from names.split(", ")
    yield from ERROR_IN_SENTENCE.findall(text)


def test_docstrings_name_errors_that_exist() -> None:
    """A renamed error keeps its old name in sentences: no tool renames it there."""
    known, named = set(dir(builtins)), []
    for path in [*python_files(*PRODUCT), ROOT / "worker.py"]:
        for node in source_nodes(path):
            if isinstance(node, ast.ClassDef):
                known.add(node.name)
            elif isinstance(node, ast.Attribute):
                known.add(node.attr)
            elif isinstance(node, ast.alias):
                known.add((node.asname or node.name).rpartition(".")[2])
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                names = named_errors(str(node.value.value))
                named += [(f"{path.relative_to(ROOT)}:{node.lineno}", name) for name in names]
    assert len(named) > 300
    assert [(place, name) for place, name in named if name not in known] == []


def test_every_package_is_measured() -> None:
    """A new top-level package must join FOLDERS, or its files escape the limits."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= set(FOLDERS)
