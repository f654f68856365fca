"""Peak memory and speed of `sluice ingest` on one large JSON lines file.

The file is made line by line, then read by the command in a process of its own, whose peak memory
the kernel reports. By default the command only reads and checks (--dry-run): that is the part whose
memory could grow with the file. With --write it embeds and writes to stores of its own as well,
which takes minutes for each MiB.

    uv run python -m benchmarks.ingest [--size MIB] [--write]
"""

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sluice.stack import Stack

MEMORY_BAR_MIB = 500
MIB = 2**20
WORDS = ("axle", "brake", "depot", "driver", "invoice", "order", "pallet", "route", "truck", "yard")
STORES = ("redis", "postgres", "graph", "qdrant")


def write_lines(path: Path, size_mib: int) -> int:
    """Write records of about 700 bytes until the file has its size; return their number."""
    dice, number = random.Random(7), 0  # noqa: S311 - a made-up text
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size_mib * MIB:
            for _ in range(100):
                number += 1
                text = " ".join(dice.choices(WORDS, k=100))
                record = {
                    "id": number,
                    "title": f"Note {number}",
                    "text": text,
                    "amount": number % 97,
                }
                file.write(f"{json.dumps(record)}\n")
    return number


def ingest(
    path: Path, options: tuple[str, ...], environment: dict[str, str]
) -> tuple[float, float]:
    """Run the command; return its seconds, and the peak memory of its process in MiB."""
    command = [str(Path(sys.executable).with_name("sluice")), "ingest", *options, path.name]
    begun = time.monotonic()
    subprocess.run(command, cwd=path.parent, env=environment, check=True)  # noqa: S603 - ours
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return time.monotonic() - begun, peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file")
    parser.add_argument("--write", action="store_true", help="write to stores too")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, stack = Path(folder) / "notes.jsonl", Stack(Path(folder) / "stack")
        records = write_lines(path, settings.size)
        environment = dict(os.environ)
        try:
            if settings.write:
                environment |= asyncio.run(stack.up(STORES)).environment
            options = () if settings.write else ("--dry-run",)
            seconds, peak = ingest(path, options, environment)
        finally:
            asyncio.run(stack.down())
    print(
        f"{settings.size} MiB, {records} records, {seconds:.1f} s ({records / seconds:.0f} a second): "
        f"peak memory {peak:.0f} MiB, bar {MEMORY_BAR_MIB} MiB"
    )
    return 0 if peak < MEMORY_BAR_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
