"""The recording as the process of the workflow sees it: questions to ``sluice.rehearsal.recorder.process``.

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

from sluice.rehearsal.errors import RecorderFailedError
from sluice.rehearsal.traffic.scenario import Scenario
from sluice.rollout.plan.schema import RolloutPlan

POLL_SECONDS = 0.25
METHODS = frozenset(
    (
        "start_timeline",
        "enter_step",
        "new_readings",
        "sample_ages",
        "next_breach",
        "first_fault_at",
        "exposure",
    )
)
TimelineSpec = tuple[RolloutPlan, Scenario, int, datetime]
"""A course: its plan, scenario, seed and begin."""
ReadingsByQuery = dict[str, dict[int, float]]
"""By expression and ticks after the entry of a step; NaN is no data."""


@dataclass
class RecorderClient:
    """The line to the process that records; one question at a time."""

    connection: Connection
    _lock: Lock = field(default_factory=Lock)
    _failed: RecorderFailedError | None = None

    def initialize(self, url: str, spec: TimelineSpec) -> None:
        """Tell where Prometheus is, and what will probably be rehearsed first; say it once."""
        self.connection.send((url, spec))

    def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  each question has its own
        """The answer of the recorder's method of that name.

        Raises:
            RecorderFailedError: the process is gone.
            RehearsalError: as the method does.
        """
        try:
            with self._lock:
                self.connection.send((method, *arguments))
                well, answer = self.connection.recv()
        except (EOFError, OSError) as error:
            self._failed = RecorderFailedError(
                "the process that records the traffic ended; what it said stands above"
            )
            raise self._failed from error
        if not well:
            raise answer
        return answer

    async def wait_for_failure(self) -> NoReturn:
        """Wait until the process is found gone, and raise that: activities would be tried for ever."""
        while self._failed is None:  # noqa: ASYNC110  it is set by threads
            await asyncio.sleep(POLL_SECONDS)
        raise self._failed


@contextmanager
def recorder_process() -> Iterator[RecorderClient]:
    """Start the process that records; it ends with the block."""
    ours, theirs = Pipe()
    number = str(theirs.fileno())
    # -P: what lies in the folder that the command was called in is none of its modules.
    argv = [sys.executable, "-P", "-m", "sluice.rehearsal.recorder.process", number]
    process = subprocess.Popen(argv, pass_fds=[theirs.fileno()])  # noqa: S603  our own arguments
    theirs.close()
    try:
        yield RecorderClient(ours)
    finally:
        ours.close()
        process.kill()  # there is nothing to save
        process.wait()
