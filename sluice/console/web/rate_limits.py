"""Token buckets: how often one address may try to log in, and one session may decide.

``SeenOnce`` lets a signed request through once.
"""

from collections import OrderedDict
from dataclasses import dataclass

KEYS_MAX = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """Allows ``burst`` calls at once for each key, and ``per_second`` in the long run."""

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allow(self, key: str, now: float) -> bool:
        """Take one token. ``now`` is in seconds of a clock that never goes back."""
        bucket = self._buckets.setdefault(key, _Bucket(float(self._burst), now))
        self._buckets.move_to_end(key)
        if len(self._buckets) > KEYS_MAX:
            self._buckets.popitem(last=False)
        refill = (now - bucket.filled_at) * self._per_second
        bucket.tokens = min(float(self._burst), bucket.tokens + refill)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


class SeenOnce:
    """Keys that were taken already, the newest KEYS_MAX of them."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, None] = OrderedDict()

    def is_new(self, key: str) -> bool:
        """Return True the first time."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > KEYS_MAX:
            self._keys.popitem(last=False)
        return True
