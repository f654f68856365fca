"""The commit-msg hook refuses what CONTRIBUTING.md forbids and lets a good message pass."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "ops" / "commit_message.py"
BODY = "\n\nReaders took 665 MB for a flag.\n"


def check(message: str, folder: Path) -> tuple[int, str]:
    path = folder / "COMMIT_EDITMSG"
    path.write_text(message)
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, str(SCRIPT), str(path)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("message", [f"Split the dependencies{BODY}", "Merge branch 'flags'\n"])
def test_a_good_message_passes(message: str, tmp_path: Path) -> None:
    assert check(message, tmp_path) == (0, "")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (f"Splitting the dependencies{BODY}", "not imperative"),
        (f"The dependencies are split{BODY}", "not imperative"),
        (f"Split {'x' * 70}{BODY}", "76 characters"),
        (f"Split the dependencies.{BODY}", "full stop"),
        ("Split the dependencies\n", "add a body"),
        ("Split the dependencies\nat once\n", "second line is not blank"),
    ],
)
def test_a_bad_message_is_refused_with_the_rule(message: str, problem: str, tmp_path: Path) -> None:
    code, text = check(message, tmp_path)
    assert code == 1
    assert problem in text
