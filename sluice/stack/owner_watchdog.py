"""Stop stacks when their owner ends, however it ends: ``python -m sluice.stack.owner_watchdog FOLDER``.

The watchdog is a separate process that waits for the end of its standard input. The kernel closes
that pipe when the owner exits or is killed. The watchdog then stops every stack whose data folder
is in FOLDER.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sluice.stack.stack import Stack


@contextmanager
def watch_owner(folder: Path) -> Iterator[None]:
    """Stop every stack in ``folder`` after the block, even after kill -9 of this process."""
    argv = [sys.executable, "-m", "sluice.stack.owner_watchdog", str(folder)]
    # A new session: Ctrl-C in the terminal must not reach the watchdog.
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603  # our own module
        yield
        process.communicate()


async def stop_stacks(homes: Sequence[Path]) -> None:
    await asyncio.gather(*(Stack(home, {}).down() for home in homes))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sluice.stack.owner_watchdog")
    parser.add_argument("folder", type=Path, help="folder of the stacks' data folders")
    settings = parser.parse_args(arguments)
    sys.stdin.read()
    asyncio.run(stop_stacks([path.parent for path in settings.folder.rglob("stack.json")]))


if __name__ == "__main__":
    main()
