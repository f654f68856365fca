"""ARCHITECTURE.md names files that exist, and its walks stay short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
PATH = re.compile(r"`([\w/]+(?:/|\.py|\.lua))`")
FILES_MAX = {
    "A metric reading to 0 %": 20,
    "A question to its answer": 25,
    "A feedback to weights": 15,
    "`sluice abort`": 15,
}


def test_every_file_and_folder_exists() -> None:
    missing = [path for path in PATH.findall(TEXT) if not (ROOT / path).exists()]
    assert missing == []


def test_every_room_is_listed() -> None:
    rooms = {f"sluice/{each.parent.name}" for each in (ROOT / "sluice").glob("*/__init__.py")}
    listed = set(re.findall(r"^\| `([\w/]+)`", TEXT, re.MULTILINE)) | {"sluice/rollout"}
    assert rooms <= listed


@pytest.mark.parametrize("walk", FILES_MAX)
def test_a_walk_is_short(walk: str) -> None:
    section = TEXT.partition(f"### {walk}\n")[2].partition("\n##")[0]
    files = PATH.findall(section)
    assert 0 < len(files) <= FILES_MAX[walk]
