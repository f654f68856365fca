"""The processes of readers that `benchmarks.rollback` rolls back, and the pipes to them."""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import structlog

from sluice.flags import FlagDocument, FlagReader

FLAG = "rollback"
USER = "user"
READY_SECONDS = 30.0


class TimedReader(FlagReader):
    """A reader that notes when (monotonic) it installed each version."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url)
        self.installed_at: dict[int, float] = {}

    def _install(self, document: FlagDocument) -> None:
        super()._install(document)
        self.installed_at[document.version] = time.monotonic()


def _drop_event(_logger: object, _method: str, _event: object) -> str:
    raise structlog.DropEvent


def run_readers(redis_url: str, readers_count: int, orders: Connection) -> None:
    """Run a process of many readers; it answers `("last", version)`, `("treated", at)` and `("fork", 0)`."""
    structlog.configure(processors=[_drop_event])
    readers = [TimedReader(redis_url) for _ in range(readers_count)]
    for reader in readers:
        reader.start()
    ready = all(reader.wait_ready(READY_SECONDS) for reader in readers)
    orders.send(ready)
    forked = False
    while (order := orders.recv()) is not None:
        what, value = order
        if what == "last":
            times = [reader.installed_at.get(value) for reader in readers]
            orders.send(None if None in times else max(t for t in times if t is not None))
        elif what == "fork":
            # The child answers one question in the parent's place, then the parent goes on.
            if child := os.fork():
                os.waitpid(child, 0)
            else:
                forked = True
        else:
            time.sleep(max(0.0, value - time.monotonic()))
            orders.send(sum(reader.evaluate(FLAG, USER).enabled for reader in readers))
            if forked:
                break
    os._exit(0)


@dataclass
class ReaderFleet:
    """The reading processes and the pipes to them."""

    pipes: list[Connection] = field(default_factory=list)
    processes: list[SpawnProcess] = field(default_factory=list)
    readers: int = 0

    def start(self, redis_url: str, processes: int, readers: int) -> None:
        """Start them all, and wait until every reader is ready."""
        self.readers = processes * readers
        context = mp.get_context("spawn")
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=run_readers, args=(redis_url, readers, theirs), daemon=True
            )
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)
        assert all(pipe.recv() for pipe in self.pipes), "a reader never became ready"

    def query_all(self, what: str, value: float) -> list[Any]:
        """Ask every process at once."""
        for pipe in self.pipes:
            pipe.send((what, value))
        return [pipe.recv() for pipe in self.pipes]

    def fork(self, number: int) -> None:
        """Let a child of that process give its next answer."""
        self.pipes[number].send(("fork", 0.0))

    def count_treated(self, at: float = 0.0) -> int:
        """Return how many readers treat the user at the monotonic time `at` (default: now)."""
        return sum(self.query_all("treated", at))

    def stop(self) -> None:
        """End all processes."""
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(5.0)
