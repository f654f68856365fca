"""docs/guide.md points only at what exists: plan paths, commands with their options, modules, files."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sluice.cli.registry import COMMANDS, build_app

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide.md"
PLAN_PATH = re.compile(r"(plans/[\w.-]+\.yaml): (\S+)")
MODULE = re.compile(r"[a-z_]+(\.\w+)+")
HEADER = "the guide says"


def rows() -> list[tuple[str, str]]:
    """Yield the guide's sentence and the cell with its place."""
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in GUIDE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    return [(row[0], row[-1]) for row in cells if row[0] != HEADER]


def references(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def broken_reference(reference: str) -> str:
    """Return the problem of a reference, or an empty string."""
    if match := PLAN_PATH.fullmatch(reference):
        return _broken_plan_reference(match[1], match[2])
    if reference.startswith("sluice "):
        return _broken_command(reference.split()[1:])
    if (ROOT / reference).exists():
        return ""
    if MODULE.fullmatch(reference):
        return _broken_name(reference)
    return f"no file {reference}"


@cache
def _plan(path: str) -> Any:  # noqa: ANN401  YAML is anything
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def _broken_plan_reference(path: str, dotted: str) -> str:
    if not (ROOT / path).exists():
        return f"no plan {path}"
    place: Any = _plan(path)
    for part in dotted.split("."):
        if isinstance(place, list):
            place = {one.get("name", one.get("metric")): one for one in place}
        if not isinstance(place, dict) or part not in place:
            return f"{path} has no {part} in {dotted}"
        place = place[part]
    return ""


def _broken_command(words: list[str]) -> str:
    name, *options = words
    if name not in COMMANDS:
        return f"no command sluice {name}"
    command: Any = typer.main.get_command(build_app([name])).commands[name]  # type: ignore[attr-defined]
    if hasattr(command, "commands"):
        if not options or options[0] not in command.commands:
            return f"sluice {name} has no {' '.join(options[:1]) or 'commands without a name'}"
        command = command.commands[options[0]]
    known = {option for one in getattr(command, "params", ()) for option in one.opts}
    gone = [one for one in options if one.startswith("-") and one not in known]
    return f"sluice {name} has no {', '.join(gone)}" if gone else ""


def _broken_name(dotted: str) -> str:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            place: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(place, part):
                return f"{dotted}: no {part}"
            place = getattr(place, part)
        return ""
    return f"no module {dotted}"


def _problems() -> Iterator[str]:
    for sentence, cell in rows():
        if not references(cell):
            yield f"{sentence!r} points at nothing"
        for reference in references(cell):
            if problem := broken_reference(reference):
                yield f"{sentence!r}: {problem}"


def test_each_sentence_of_the_guide_leads_somewhere() -> None:
    """A setting, a command, a module or a file that is renamed takes its row along."""
    assert list(_problems()) == []


def test_the_table_is_the_whole_guide() -> None:
    """A row for each thing that the guide asks for; fewer means that a table was lost."""
    assert len(rows()) >= 140


@pytest.mark.parametrize(
    "reference",
    [
        "plans/phase4.yaml: steps.ramp-5.gates.nothing",
        "plans/phase5.yaml: steps",
        "sluice celebrate",
        "sluice rollback --gently",
        "sluice.rollout.analysis.judge.prejudge",
        "sluice.rollout.jury",
        "docs/nothing.md",
    ],
)
def test_a_row_that_leads_nowhere_is_found(reference: str) -> None:
    """The test can fail."""
    assert broken_reference(reference)


def test_each_rule_of_the_plan_says_which_sentence_it_comes_from() -> None:
    """Every gate, red flag, checklist item and step of phase4.yaml carries ``guide:``."""
    plan = _plan("plans/phase4.yaml")
    rules = [
        (step["name"], rule["name"], rule.get("guide"))
        for step in plan["steps"]
        for which in ("gates", "red_flags", "checklist")
        for rule in step.get(which, ())
    ]
    assert [rule for rule in rules if not rule[2]] == []
    assert [step["name"] for step in plan["steps"] if not step.get("guide")] == []
