"""The commit-msg hook: an imperative subject of at most 72 characters, and a body that says why.

Installed by ``.venv/bin/pre-commit install --hook-type commit-msg``.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SUBJECT_MAX = 72
GENERATED = ("Merge ", "Revert ", "fixup! ", "squash! ")


def problems(message: str) -> Iterator[str]:
    """Yield each rule that a commit message breaks."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = lines[0] if lines else ""
    if subject.startswith(GENERATED):
        return
    if not subject or len(subject) > SUBJECT_MAX:
        yield f"the subject has {len(subject)} characters; write 1 to {SUBJECT_MAX}"
    if subject.endswith("."):
        yield "the subject ends with a full stop; leave it out"
    if not subject[:1].isupper() or not _is_imperative(subject):
        yield f"the subject {subject!r} is not imperative; write for example 'Add the flag reader'"
    if len(lines) > 1 and lines[1]:
        yield "the second line is not blank"
    if not any(line.strip() for line in lines[1:]):
        yield "there is only a subject; add a body that gives the reason"


def _is_imperative(subject: str) -> bool:
    """Ask ruff's rule D401, which docstrings keep too."""
    ruff = Path(sys.executable).parent / "ruff"
    options = ["check", "--isolated", "--select=D401", "--output-format=json", "--exit-zero", "-"]
    source = f"def function():\n    {json.dumps(subject + '.')}\n"
    done = subprocess.run(  # noqa: S603  our own ruff
        [str(ruff), *options], input=source, capture_output=True, text=True, check=True
    )
    findings: list[object] = json.loads(done.stdout)
    return not findings


if __name__ == "__main__":
    breaches = list(problems(Path(sys.argv[1]).read_text(encoding="utf-8")))
    sys.stderr.writelines(f"commit message: {problem}\n" for problem in breaches)
    sys.exit(bool(breaches))
