"""The limits of CONTRIBUTING.md: short files, short functions, small folders, one name a class."""

import ast
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


def test_every_package_is_measured() -> None:
    """A new top-level package must join FOLDERS, or its files escape the limits."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= set(FOLDERS)
