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
"""The input of a timeline: plan, scenario, seed and begin."""
ReadingsByQuery = dict[str, dict[int, float]]
"""Readings by expression and ticks after the step's entry; NaN means no data."""


@dataclass
class RecorderClient:
    """Connection to the recorder process; one call at a time."""

    connection: Connection
    _lock: Lock = field(default_factory=Lock)
    _failed: RecorderFailedError | None = None

    def initialize(self, url: str, spec: TimelineSpec) -> None:
        """Send Prometheus' address and the probable first rehearsal, once."""
        self.connection.send((url, spec))

    def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  each question has its own
        """Call the recorder's method of that name.

        Raises:
            RecorderFailedError: the process ended.
            RehearsalError: raised by the method.
        """
        try:
            with self._lock:
                self.connection.send((method, *arguments))
                well, answer = self.connection.recv()
        except (EOFError, OSError) as error:
            self._failed = RecorderFailedError("the recorder process ended; its output is above")
            raise self._failed from error
        if not well:
            raise answer
        return answer

    async def wait_for_failure(self) -> NoReturn:
        """Wait for the end of the process and raise it: activities would retry without end."""
        while self._failed is None:  # noqa: ASYNC110  it is set by threads
            await asyncio.sleep(POLL_SECONDS)
        raise self._failed


@contextmanager
def recorder_process() -> Iterator[RecorderClient]:
    """Start the recorder process; it ends with the block."""
    ours, theirs = Pipe()
    number = str(theirs.fileno())
    # -P: keeps files of the current folder out of its modules.
    argv = [sys.executable, "-P", "-m", "sluice.rehearsal.recorder.process", number]
    process = subprocess.Popen(argv, pass_fds=[theirs.fileno()])  # noqa: S603  our own arguments
    theirs.close()
    try:
        yield RecorderClient(ours)
    finally:
        ours.close()
        process.kill()  # it has no state to save
        process.wait()
