"""Batches of a sequence."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size``, in order."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
