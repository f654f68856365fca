"""The rhythm of expected traffic: more by day than at night, less at the weekend. Pure.

The curve is the one that rehearsals draw from (docs/rehearsal.md). A rollout begins on a Monday at eight.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from sluice.rollout.plan.schema import ExpectedTraffic

START_HOUR = 8.0
_DAY_HOURS, _DAY_SWING, _BUSIEST_HOUR = 24.0, 0.5, 15.0
_WEEK_HOURS = 168.0
_WEEKEND_DAYS, _WEEKEND_FACTOR = (5, 6), 0.7
_EVEN_USERS_EXPONENT, _EVEN_USERS_SCALE = 0.7, 0.9
"""Of N users, few send most queries: they vary as about 0.9 N^0.7 even ones do in an hour."""


def load_factor(hour: float) -> float:
    """Return the traffic of an hour, counted from Monday 0:00, as a part of the weekdays' mean."""
    phase = (hour % _DAY_HOURS - (_BUSIEST_HOUR - 6)) / _DAY_HOURS * 2 * math.pi
    is_weekend = int(hour // _DAY_HOURS) % 7 in _WEEKEND_DAYS
    return (1 + _DAY_SWING * math.sin(phase)) * (_WEEKEND_FACTOR if is_weekend else 1.0)


@lru_cache(4096)
def _load(hour: float, length: float) -> float:
    """Return the sum of load factors over the ``length`` hours before ``hour``."""
    pieces = max(1, math.ceil(length))
    piece = length / pieces
    return sum(piece * load_factor(hour - (number + 0.5) * piece) for number in range(pieces))


@dataclass(frozen=True)
class CohortLoad:
    """The queries that one gate reads: a ``part`` of all traffic."""

    traffic: ExpectedTraffic
    part: float

    def queries(self, hour: float, length: float) -> float:
        """Return the expected queries of the ``length`` hours before ``hour``."""
        per_hour = self.traffic.queries_per_day / _DAY_HOURS * self.part
        return per_hour * _load(hour % _WEEK_HOURS, length)

    @property
    def even_users(self) -> float:
        """Return the number of equally active users that would vary as much in an hour."""
        users = self.traffic.users
        if users is None:
            return math.inf
        even: float = _EVEN_USERS_SCALE * (users * self.part) ** _EVEN_USERS_EXPONENT
        return max(1.0, even)
