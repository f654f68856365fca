"""Many expressions in one request: their union, each marked with its number by a label."""

from collections.abc import Sequence
from typing import Any

NUMBER_LABEL = "sluice_query"


def union_query(promqls: Sequence[str]) -> str:
    """Return one expression with the series of all of them. Each must give an instant vector."""
    # A line break ends a comment, with which an expression may end.
    return " or ".join(
        f'label_replace(({promql}\n), "{NUMBER_LABEL}", "{number}", "", "")'
        for number, promql in enumerate(promqls)
    )


def split_union(count: int, result: Sequence[Any]) -> list[list[Any]]:
    """Return the series of each expression, in the order of ``union_query``.

    Raises:
        KeyError, ValueError, IndexError: the result is not one of a union.
    """
    series: list[list[Any]] = [[] for _ in range(count)]
    for entry in result:
        series[int(entry["metric"][NUMBER_LABEL])].append(entry)
    return series
