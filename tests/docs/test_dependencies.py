"""Each dependency has its reason in docs/dependencies.md, and each extra its packages."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GROUPS = {"Development": "dev", "Benchmarks": "bench"}


@pytest.fixture
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def package_names(requirements: list[str]) -> set[str]:
    names = {re.split(r"[\[<>=!~; ]", each, maxsplit=1)[0] for each in requirements}
    return names - {"sluice"}


def table(section: str) -> list[list[str]]:
    """Return the cells of each row of a section's table."""
    text = (ROOT / "docs" / "dependencies.md").read_text()
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+) \|$", body, re.MULTILINE)
    return [row.split(" | ") for row in rows]


def unquoted(cell: str) -> set[str]:
    return set(re.findall("`([^`]+)`", cell))


def test_base_packages_are_explained(pyproject: dict[str, Any]) -> None:
    documented = {name for row in table("Base") for name in unquoted(row[0])}
    assert documented == package_names(pyproject["project"]["dependencies"])


def test_each_package_of_an_extra_is_listed_with_that_extra(pyproject: dict[str, Any]) -> None:
    documented = {
        (name, extra)
        for row in table("Extras")
        for name in unquoted(row[0])
        for extra in unquoted(row[1])
    }
    declared = {
        (name, extra)
        for extra, requirements in pyproject["project"]["optional-dependencies"].items()
        for name in package_names(requirements)
    }
    assert documented == declared


@pytest.mark.parametrize("section", GROUPS)
def test_packages_for_development_are_explained(section: str, pyproject: dict[str, Any]) -> None:
    documented = {name for row in table(section) for name in unquoted(row[0])}
    assert documented == package_names(pyproject["dependency-groups"][GROUPS[section]])


@pytest.mark.parametrize("section", ["Base", "Extras", *GROUPS])
def test_each_reason_is_a_sentence(section: str) -> None:
    assert [row[0] for row in table(section) if len(row[-1]) < 10] == []


def test_the_extra_all_holds_every_other_extra(pyproject: dict[str, Any]) -> None:
    """`make bootstrap` and `sluice demo` rely on it."""
    extras = pyproject["project"]["optional-dependencies"]
    nested = {name for each in extras["all"] for name in re.findall(r"\w+", each.partition("[")[2])}

    def reachable(extra: str) -> set[str]:
        inner = re.findall(r"sluice\[([\w,]+)\]", " ".join(extras[extra]))
        return {extra, *(e for each in inner for part in each.split(",") for e in reachable(part))}

    assert {each for extra in nested for each in reachable(extra)} == set(extras) - {"all"}
