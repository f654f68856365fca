"""The recording as the process of the workflow sees it: questions to ``rehearsal.recorder``.

Samples, range queries and evidence take as much Python as the workflow does, so each has a core.
Readings come in columns and are kept, as a rehearsal asks for tens of thousands.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any, NoReturn

from rehearsal.errors import RecorderFailedError
from rehearsal.scenario import Scenario
from rollout.plan import RolloutPlan

LOOK_SECONDS = 0.25
QUESTIONS = frozenset(
    ("begin", "enter", "readings", "ages", "next_breach", "fault_begins", "exposure")
)
Expected = tuple[RolloutPlan, Scenario, int, datetime]
"""A course: its plan, scenario, seed and begin."""
Readings = dict[str, dict[int, float]]
"""By expression and ticks after the entry of a step; NaN is no data."""


@dataclass
class Recording:
    """The line to the process that records; one question at a time."""

    connection: Connection
    _lock: Lock = field(default_factory=Lock)
    _failed: RecorderFailedError | None = None

    def expect(self, url: str, expected: Expected) -> None:
        """Tell where Prometheus is, and what will probably be rehearsed first; say it once."""
        self.connection.send((url, expected))

    def ask(self, question: str, *words: object) -> Any:  # noqa: ANN401  each question has its own
        """The answer of the recorder's method of that name.

        Raises:
            RecorderFailedError: the process is gone.
            RehearsalError: as the method does.
        """
        try:
            with self._lock:
                self.connection.send((question, *words))
                well, answer = self.connection.recv()
        except (EOFError, OSError) as error:
            self._failed = RecorderFailedError(
                "the process that records the traffic ended; what it said stands above"
            )
            raise self._failed from error
        if not well:
            raise answer
        return answer

    async def lost(self) -> NoReturn:
        """Wait until the process is found gone, and raise that: activities would be tried for ever."""
        while self._failed is None:  # noqa: ASYNC110  it is set by threads
            await asyncio.sleep(LOOK_SECONDS)
        raise self._failed


@contextmanager
def recording() -> Iterator[Recording]:
    """Start the process that records; it ends with the block."""
    ours, theirs = Pipe()
    number = str(theirs.fileno())
    # -P: what lies in the folder that the command was called in is none of its modules.
    argv = [sys.executable, "-P", "-m", "rehearsal.recorder", number]
    process = subprocess.Popen(argv, pass_fds=[theirs.fileno()])  # noqa: S603  our own arguments
    theirs.close()
    try:
        yield Recording(ours)
    finally:
        ours.close()
        process.kill()  # there is nothing to save
        process.wait()
