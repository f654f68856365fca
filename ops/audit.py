"""Print the known vulnerabilities of the packages that uv.lock pins; exit status 1 if there are any.

pip-audit reads PyPI's own advisories. A package that could not be checked, such as offline, is named
and fails nothing: an audit without its source of data must not stop a build.

    python ops/audit.py UV
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXPORT = ("export", "--quiet", "--locked", "--all-extras", "--no-dev", "--no-emit-project")
AUDIT = ("tool", "run", "pip-audit", "--disable-pip", "--vulnerability-service", "pypi")
OUTPUT = ("--format", "json", "--progress-spinner", "off")
SKIPPED_SHOWN_MAX = 3


def main(arguments: list[str]) -> int:
    """Export the pinned packages with their hashes, audit them, print the findings."""
    (uv,) = arguments
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        subprocess.run([uv, *EXPORT, "--output-file", requirements], check=True)  # noqa: S603 - ours
        done = subprocess.run(  # noqa: S603 - ours
            [uv, *AUDIT, *OUTPUT, "--requirement", requirements],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        document = json.loads(done.stdout)
    except json.JSONDecodeError:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        sys.stdout.write(f"audit: nothing was checked: {last}\n")
        return 0
    vulnerable = list(vulnerabilities(document))
    sys.stdout.write("\n".join([*vulnerable, summary(document), ""]))
    return 1 if vulnerable else 0


def vulnerabilities(document: dict[str, Any]) -> Iterator[str]:
    """Yield one line for each known vulnerability of pip-audit's ``document``."""
    for package in document["dependencies"]:
        for each in package.get("vulns", ()):
            fixes = ", ".join(each["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {each['id']}, fixed by {fixes}"


def summary(document: dict[str, Any]) -> str:
    """Return the line that states what was checked and what was not."""
    packages = document["dependencies"]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    text = f"audit: {len(packages) - len(skipped)} of {len(packages)} packages checked"
    if not skipped:
        return text
    names = ", ".join(skipped[:SKIPPED_SHOWN_MAX])
    more = (
        f" and {len(skipped) - SKIPPED_SHOWN_MAX} more" if len(skipped) > SKIPPED_SHOWN_MAX else ""
    )
    return f"{text}; not checked, since PyPI's advisories are out of reach: {names}{more}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
