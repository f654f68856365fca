"""docs/cli.md knows every command and exit code."""

import re
from pathlib import Path

import pytest

from sluice.cli.errors import Exit
from sluice.cli.registry import COMMANDS

ROOT = Path(__file__).parents[2]
CLI = (ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_row(command: str) -> None:
    assert re.search(rf"^\| `sluice {command}[ `]", CLI, re.MULTILINE), command


def test_no_row_names_a_command_that_is_gone() -> None:
    assert set(re.findall(r"^\| `sluice (\w+)", CLI, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("code", Exit)
def test_each_exit_code_is_explained(code: Exit) -> None:
    assert f"| {code.value} | `{code.name}` |" in CLI
