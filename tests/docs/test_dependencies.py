"""Every dependency has its reason in docs/dependencies.md."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "Runtime": "dependencies",
    "Extra `stack`": "stack",
    "Extra `console`": "console",
    "Extra `otel`": "otel",
    "Development": "dev",
    "Benchmarks": "bench",
}


def declared() -> dict[str, set[str]]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {
        "dependencies": pyproject["project"]["dependencies"],
        **pyproject["project"]["optional-dependencies"],
        **pyproject["dependency-groups"],
    }
    return {group: {package_name(entry) for entry in entries} for group, entries in groups.items()}


def package_name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def documented() -> dict[str, dict[str, str]]:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return {
        SECTIONS[title]: dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", body, re.MULTILINE))
        for title, body in zip(sections[::2], sections[1::2], strict=True)
    }


@pytest.mark.parametrize("group", SECTIONS.values())
def test_each_dependency_is_explained_and_none_is_left_over(group: str) -> None:
    assert documented()[group].keys() == declared()[group]


def test_no_group_goes_unexplained() -> None:
    assert set(SECTIONS.values()) == declared().keys()


@pytest.mark.parametrize("group", SECTIONS.values())
def test_each_reason_is_a_sentence(group: str) -> None:
    assert not [name for name, reason in documented()[group].items() if len(reason) < 10]
