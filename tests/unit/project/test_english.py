"""The English rules hold in every file."""

from pathlib import Path

import pytest

from tests.english import checked_files, problems
from tests.source_tree import ROOT


def test_every_file_keeps_the_rules() -> None:
    assert [f"{name}:{problem}" for name, problem in problems(checked_files(), ROOT)] == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('"""Whether it runs."""\n', "begins with 'Whether'"),
        ("# He t" + "old us.\n", "'t" + "old'"),
        ("NAME = 'there is" + " no file'\n", "'is" + " no'"),
    ],
)
def test_each_rule_finds_its_breach(text: str, rule: str, tmp_path: Path) -> None:
    """Without this, a rule that never fires would look like a clean repository."""
    path = tmp_path / "module.py"
    path.write_text(text)
    assert [problem for _, problem in problems([path], tmp_path) if rule in problem]
