"""Each term of docs/glossary.md is a class, a function, a value or a metric of the product."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source_tree import ROOT, python_files, source_nodes

PACKAGES = ("activities", "router", "sluice", "workflows")
KEPT_TERMS = {
    *[
        "alpha budget",
        "arm",
        "cohort",
        "decide",
        "drill",
        "fence",
        "freeze window",
        "gate",
        "judge",
        "kill latch",
    ],
    *[
        "lease",
        "ledger",
        "outcome",
        "propensity",
        "runbook",
        "status",
        "step recording",
        "timeline",
        "verdict",
    ],
}


def rows() -> list[tuple[str, str, str]]:
    text = (ROOT / "docs" / "glossary.md").read_text()
    return re.findall(r"^\| ([^|`]+) \| ([^|]+) \| `([^`]+)` \|$", text, re.MULTILINE)


def names_in(path: Path) -> Iterator[str]:
    """Yield every class, function, assigned name and metric of a module."""
    for node in source_nodes(path):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def names() -> set[str]:
    return {name for path in python_files(*PACKAGES) for name in names_in(path)}


def test_each_term_is_in_the_code(names: set[str]) -> None:
    assert [term for term, _, symbol in rows() if symbol.split(".")[0] not in names] == []


def test_the_terms_that_a_newcomer_needs_are_explained() -> None:
    assert KEPT_TERMS - {term for term, _, _ in rows()} == set()


def test_terms_are_in_order_and_unique() -> None:
    terms = [term for term, _, _ in rows()]
    assert terms == sorted(set(terms))
