"""The English rules hold in every file but those of a list that only gets shorter."""

from pathlib import Path

import pytest

from tests.english import checked_files, problems

DEBT = Path(__file__).with_name("english_debt.txt")


@pytest.fixture(scope="module")
def failing() -> dict[str, list[str]]:
    by_file: dict[str, list[str]] = {}
    for name, problem in problems(checked_files()):
        by_file.setdefault(name, []).append(f"{name}:{problem}")
    return by_file


@pytest.fixture
def debt() -> set[str]:
    return set(DEBT.read_text().split())


def test_a_file_outside_the_list_keeps_the_rules(
    failing: dict[str, list[str]], debt: set[str]
) -> None:
    assert [each for name in sorted(failing.keys() - debt) for each in failing[name]] == []


def test_the_list_names_only_files_that_still_fail(
    failing: dict[str, list[str]], debt: set[str]
) -> None:
    assert sorted(debt - failing.keys()) == [], f"remove these lines from {DEBT.name}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('"""Whether it runs."""\n', "begins with 'Whether'"),
        ("def f():\n    '''Returns it.'''\n", "imperative"),
        ("# He t" + "old us.\n", "'t" + "old'"),
        ("NAME = 'there is" + " no file'\n", "'is" + " no'"),
    ],
)
def test_each_rule_finds_its_breach(text: str, rule: str, tmp_path: Path) -> None:
    """Without this, a rule that never fires would look like a clean repository."""
    path = tmp_path / "module.py"
    path.write_text(text)
    assert [problem for _, problem in problems([path], tmp_path) if rule in problem]
