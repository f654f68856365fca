"""Client of the recorder process, ``sluice.rehearsal.recorder.process``.

Samples, range queries and evidence take as much CPU as the workflow, so each has a core. Readings
arrive in columns and are cached: a rehearsal reads tens of thousands.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Lock
from typing import NoReturn

from sluice.rehearsal.errors import RecorderFailedError
from sluice.rehearsal.recorder.requests import AnswerT, RecorderRequest, TimelineSpec

POLL_SECONDS = 0.25


@dataclass
class RecorderClient:
    """Connection to the recorder process; one call at a time."""

    connection: Connection
    _lock: Lock = field(default_factory=Lock)
    _failed: RecorderFailedError | None = None

    def initialize(self, url: str, spec: TimelineSpec) -> None:
        """Send Prometheus' address and the probable first rehearsal, once."""
        self.connection.send((url, spec))

    def call(self, request: RecorderRequest[AnswerT]) -> AnswerT:
        """Return the answer to one request.

        Raises:
            RecorderFailedError: the process ended.
            RehearsalError: raised by the recorder's method.
        """
        answer: AnswerT
        try:
            with self._lock:
                self.connection.send(request)
                error, answer = self.connection.recv()
        except (EOFError, OSError) as gone:
            self._failed = RecorderFailedError("the recorder process ended; its output is above")
            raise self._failed from gone
        if error is not None:
            raise error
        return answer

    async def wait_for_failure(self) -> NoReturn:
        """Wait for the end of the process and raise it: activities would retry without end."""
        while self._failed is None:  # noqa: ASYNC110  it is set by threads
            await asyncio.sleep(POLL_SECONDS)
        raise self._failed


@contextmanager
def recorder_process() -> Iterator[RecorderClient]:
    """Start the recorder process; it ends with the block."""
    parent_end, child_end = Pipe()
    number = str(child_end.fileno())
    # -P: keeps files of the current folder out of its modules.
    argv = [sys.executable, "-P", "-m", "sluice.rehearsal.recorder.process", number]
    process = subprocess.Popen(argv, pass_fds=[child_end.fileno()])  # noqa: S603  our own arguments
    child_end.close()
    try:
        yield RecorderClient(parent_end)
    finally:
        parent_end.close()
        process.kill()  # it has no state to save
        process.wait()
