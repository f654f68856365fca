"""The process that records a rehearsal and reads from it, beside the one that carries the rollout out.

``python -m rehearsal.recorder FD`` answers what ``rehearsal.recording`` asks over that descriptor, and
looks ahead while nothing is asked. It ends when the asking process does.
"""

import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from multiprocessing.connection import Connection

from rehearsal.ahead import next_breach
from rehearsal.arrays import Floats
from rehearsal.course import Course
from rehearsal.errors import RehearsalError
from rehearsal.foresight import Foresight
from rehearsal.guarded import Breach, Guarded
from rehearsal.ranges import Ranges, reading
from rehearsal.recording import QUESTIONS, Expected, Readings
from rehearsal.tape import Studio
from rollout.reading import Reading

SWITCH_SECONDS = 0.0005
"""The thread that looks ahead lets go for an answer after so long; Python's own is ten times that."""


class Recorder:
    """Answers about one course after the other; their tapes are shared."""

    def __init__(self, ranges: Ranges, expected: Expected) -> None:
        self._studio = Studio(ranges)
        self._foresight = Foresight()
        self._baseline: Mapping[str, Reading] = {}
        self.begin(expected)

    def begin(self, expected: Expected) -> None:
        """Begin another course; what was foreseen of it is recorded already."""
        plan, scenario, seed, begin = expected
        self._course = Course(plan, scenario, seed, self._studio, begin)
        self._told: dict[datetime, dict[str, int]] = {}
        self._foresight.follow(self._course, self._baseline)

    def enter(self, index: int, at: datetime) -> None:
        """See ``Course.enter``."""
        self._foresight.rest()
        self._course.enter(index, at)
        self._foresight.follow(self._course, self._baseline)

    def readings(self, promql: str, at: datetime) -> Readings:
        """All that was read in the step that is live at ``at``, ``promql`` included, and isn't told."""
        self._course.query(promql, at)
        entry, _ = self._course.recorded(at)
        return entry.tape.read_since(self._told.setdefault(entry.at, {}))

    def ages(self, at: datetime) -> Floats:
        """The age of samples at each tick of the step that is live at ``at``."""
        entry, epoch = self._course.recorded(at)
        entry.tape.reach(epoch + entry.tape.tick)
        return entry.tape.ages_ahead()

    def next_breach(self, guarded: Guarded, now: datetime, until: datetime) -> Breach:
        """See ``rehearsal.ahead``."""
        self._baseline = guarded.baseline
        found = next_breach(self._course, guarded, now, until)
        if now < until and not found.names:
            self._foresight.weigh(self._course, guarded.after(found.tracks), (now, until))
        return found

    def fault_begins(self) -> datetime | None:
        """See ``Course.fault_begins``."""
        return self._course.fault_begins()

    def exposure(self, begin: datetime, end: datetime) -> tuple[int, int, int]:
        """See ``Course.exposure``."""
        return self._course.exposure(begin, end)


def serve(connection: Connection) -> None:
    """Answer until nobody asks any more."""
    url, expected = connection.recv()
    with reading(url) as ranges:
        recorder = Recorder(ranges, expected)
        while True:
            name, *words = connection.recv()
            assert name in QUESTIONS  # noqa: S101  ours
            try:
                connection.send((True, getattr(recorder, name)(*words)))
            except RehearsalError as error:
                connection.send((False, error))


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_SECONDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the asking process ends us
    try:
        serve(Connection(int(sys.argv[1])))
    except (EOFError, OSError):
        sys.exit()
