"""The faults that `benchmarks.rollback` injects around a rollback."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from benchmarks.support.redis_process import RedisProcess
from benchmarks.support.rollback_fleet import ReaderFleet

CHANNEL = "sluice:default:flags:changes"


class RollbackFaults:
    """The faults; each takes effect at once, and `heal` undoes what would last."""

    def __init__(self, server: RedisProcess, fleet: ReaderFleet, rng: random.Random) -> None:
        self._server = server
        self._fleet = fleet
        self._dice = rng
        # What may happen between the order to roll back and its acknowledgement: the store lives.
        self.before: dict[str, Callable[[], None]] = {
            "killed connections": self.drop_connections,
            "slow consumer": self.flood,
            "paused process": self.pause_process,
            "forked process": self.fork_process,
        }
        self.after: dict[str, Callable[[], None]] = {
            **self.before,
            "frozen Redis": lambda: self._server.send(signal.SIGSTOP),
            "restart from an older snapshot": self.restart,
            "Redis gone": self._server.kill,
            "emptied Redis": self.flush,
        }

    def drop_connections(self) -> None:
        """Cut every connection."""
        with self._server.client() as client:
            for kind in ("pubsub", "normal"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def flood(self) -> None:
        """Let Redis drop its subscribers for reading too slowly."""
        with self._server.client() as client:
            client.config_set("client-output-buffer-limit", "pubsub 4096 4096 1")
            for _ in range(20):
                client.publish(CHANNEL, b"x" * 4096)

    def pause_process(self) -> None:
        """Stop one process of readers for a moment."""
        process = self._dice.choice(self._fleet.processes)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(self._dice.uniform(0.0, 0.3))
        os.kill(process.pid, signal.SIGCONT)

    def fork_process(self) -> None:
        """Let a child of one process answer for it."""
        self._fleet.fork(self._dice.randrange(len(self._fleet.processes)))

    def restart(self) -> None:
        """Lose everything since the last snapshot."""
        self._server.kill()
        self._server.start()

    def flush(self) -> None:
        """Lose everything."""
        with self._server.client() as client:
            client.flushall()

    def heal(self) -> None:
        """Make the server answer again."""
        self._server.send(signal.SIGCONT)
        if not self._server.is_answering():
            self.restart()
