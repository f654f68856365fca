"""Size and import time of the flag client in a fresh environment, beside its peers'.

``python -m benchmarks.client`` installs each client from its package index into a virtual
environment of its own, so it needs the network and a minute.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 7
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Client:
    """A client library: its pip requirement, and the statements that a service imports."""

    name: str
    requirement: str
    statements: tuple[str, ...]


CLIENTS = (
    Client("sluice", str(ROOT), ("import sluice.flags", "from sluice.flags import FlagReader")),
    Client("LaunchDarkly", "launchdarkly-server-sdk", ("import ldclient",)),
    Client("Unleash", "unleashclient", ("import UnleashClient",)),
    Client("GrowthBook", "growthbook", ("import growthbook",)),
)


def main() -> None:
    """Print one line for each client and statement."""
    for client in CLIENTS:
        with tempfile.TemporaryDirectory() as folder:
            python, before = create_environment(Path(folder))
            subprocess.run(  # noqa: S603  pip in our own environment
                [python, "-m", "pip", "install", "-q", client.requirement], check=True
            )
            size = (folder_bytes(Path(folder)) - before) / MEGABYTE
            empty = import_milliseconds(python, "pass")
            for statement in client.statements:
                spent = import_milliseconds(python, statement) - empty
                print(f"{client.name:<13} {size:6.1f} MB   {spent:6.0f} ms   {statement}")


def create_environment(folder: Path) -> tuple[str, int]:
    """Create a virtual environment; return its interpreter and its size in bytes."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)  # noqa: S603  our own
    return str(folder / "bin" / "python"), folder_bytes(folder)


def folder_bytes(folder: Path) -> int:
    """Return the size of a folder's files, without compiled copies of their modules."""
    files = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files if path.is_file() and not path.is_symlink())


def import_milliseconds(python: str, statement: str) -> float:
    """Return the shortest time of a new interpreter that runs the statement."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([python, "-c", statement], check=True)  # noqa: S603  our own statement
        times.append((time.perf_counter() - started) * 1000)
    return min(times)


if __name__ == "__main__":
    main()
