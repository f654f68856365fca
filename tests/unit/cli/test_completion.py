"""Bash completes commands, subcommands and options, although a call imports one command only."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
eval "$(_SLUICE_COMPLETE=source_bash sluice)"
complete() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice_completion sluice; echo "${COMPREPLY[*]}"; }
complete sluice am
complete sluice flags se
complete sluice amend --dry
"""


def test_bash_completes_each_level() -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603  a fixed script
        ["/bin/bash", "-c", SCRIPT],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["amend"],
        ["serve", "set"],
        ["--dry-run"],
    ]
