"""Programs that run to their end within a time limit, and never outlive it."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CompletedCommand:
    """Exit code of a program, with its ``output`` (stdout and stderr together)."""

    returncode: int
    output: str

    @property
    def tail(self) -> str:
        """The last words, for people."""
        return self.output.strip()[-300:]


async def run_command(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds_max: float
) -> CompletedCommand:
    """Run the command; kill it with all its children when it is too slow or cancelled.

    Raises:
        TimeoutError: it took longer than ``seconds_max``.
        OSError: it can't be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds_max):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return CompletedCommand(process.returncode or 0, output.decode(errors="replace"))
