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


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_listed_with_the_extra_that_it_needs(command: str) -> None:
    """The base install's commands are in the text above the table."""
    base, *rows = CLI.partition("## Extras\n")[2].partition("\n## ")[0].split("\n|")
    places = {"": base} | {row.split("`")[1]: row for row in rows if "`" in row}
    assert command in re.findall(r"[\w-]+", places[COMMANDS[command].extra])
