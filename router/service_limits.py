"""Limits at the door: refuse early rather than collapse late."""

from collections.abc import Iterator
from contextlib import contextmanager

from router.errors import Overloaded


class Gate:
    """At most ``limit`` queries at once; the next one is told to come back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Raises Overloaded when full."""
        if self._inside >= self._limit:
            raise Overloaded(self._limit)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
