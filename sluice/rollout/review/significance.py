"""Comparison of a metric's readings before and after, so that noise is not called a change."""

import math
from collections.abc import Sequence

READINGS_MIN = 8
"""Fewer readings on a side can't show a change at this level."""
SIGNIFICANCE_LEVEL = 0.01


def is_significant(before: Sequence[float], after: Sequence[float]) -> bool:
    """Return True if the two samples differ by the two-sided Mann-Whitney test."""
    if min(len(before), len(after)) < READINGS_MIN:
        return False
    return rank_test_p_value(before, after) < SIGNIFICANCE_LEVEL


def rank_test_p_value(before: Sequence[float], after: Sequence[float]) -> float:
    """Compute the p-value of the Mann-Whitney test: normal approximation, corrected for ties."""
    first, second = len(before), len(after)
    values = sorted((*before, *after))
    ranks, ties = _mean_ranks(values)
    statistic = sum(ranks[value] for value in before) - first * (first + 1) / 2
    total = first + second
    spread = first * second / 12 * (total + 1 - ties / (total * (total - 1)))
    if spread <= 0:
        return 1.0
    distance = max(0.0, abs(statistic - first * second / 2) - 0.5)
    return math.erfc(distance / math.sqrt(2 * spread))


def _mean_ranks(values: Sequence[float]) -> tuple[dict[float, float], float]:
    """Return each value's mean rank, and the sum of t³ - t over its ties."""
    ranks: dict[float, float] = {}
    ties, index = 0.0, 0
    while index < len(values):
        end = index
        while end < len(values) and values[end] == values[index]:
            end += 1
        count = end - index
        ranks[values[index]] = (index + 1 + end) / 2
        ties += count**3 - count
        index = end
    return ranks, ties
