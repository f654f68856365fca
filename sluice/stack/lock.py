"""The lock that lets one command at a time start or stop the servers of a data folder."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sluice.stack.errors import StackBusyError

POLL_SECONDS = 0.1


@asynccontextmanager
async def exclusive_lock(path: Path, timeout_seconds: float = 120.0) -> AsyncIterator[None]:
    """Hold the lock file ``path``; the kernel frees it even if the process is killed.

    Raises:
        StackBusyError: another process holds it for longer than the timeout.
    """
    started = time.monotonic()
    with path.open("w") as file:
        while not _try_lock(file.fileno()):
            waited = time.monotonic() - started
            if waited > timeout_seconds:
                raise StackBusyError(path, waited)
            await asyncio.sleep(POLL_SECONDS)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
