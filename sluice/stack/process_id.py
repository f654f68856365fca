"""The identity of a process, without the library that looks for processes: it is slow to load."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid and when that process started, in seconds after boot."""

    pid: int
    start_seconds: float
