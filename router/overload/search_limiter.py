"""Adaptive limit of concurrent searches, with one queue per tenant.

Beyond the capacity of the cores each further search delays all others, until the stores' deadlines
pass and corrections add more searches. So a few queries search at once, others wait in line, and a
query with too long a wait is refused. Cached answers need no slot. The event loop's lag sets the
capacity: additive increase, multiplicative decrease (Chiu and Jain 1989). The queues are served
round robin, and a tenant holds at most an equal share while others wait (fair queueing, Nagle 1987).
A tenant that sends more than its share leaves some slots free, so that the others find one at once.
Its slots have a capacity of their own, which falls at the first delays: a free slot is of no use to
the others while its searches take the core from theirs. Below one slot it pauses after each search.
"""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.errors import Overloaded
from router.observability.trace import remaining_seconds, time_phase
from router.overload.tenant_shares import Shares

_MEAN_WEIGHT = 0.1
"""Weight of the newest search in the moving mean of search times."""
_INITIAL_MEAN_SECONDS = 0.05
_CAPACITY_MIN = 2
"""One search that waits for a store, and one that uses the core."""
_DECREASE_FACTOR = 0.9
_EXCESS_DECREASE_FACTOR = 0.7
_EXCESS_INCREASE = 0.25
_EXCESS_CAPACITY_MIN = 0.2
"""A tenant above its share always searches for this part of the time."""
_PAUSE_SECONDS_MAX = 1.0
_RESERVED_PART = 4
"""One slot in so many, and one at least, is for tenants within their share."""
_FAVOURED_WAIT_SECONDS = 2.0
"""A tenant within its share waits while another one is refused: its turn comes soon."""


class SearchLimiter:
    """At most ``limit`` searches at once; no query waits longer than ``wait_seconds``."""

    def __init__(self, limit: int, wait_seconds: float) -> None:
        self._limit = limit
        self._wait_seconds = wait_seconds
        self._capacity = float(limit)
        self._excess_capacity = float(limit)
        self._in_use: Counter[str] = Counter()
        self._paused_until: dict[str, float] = {}
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._mean_seconds = _INITIAL_MEAN_SECONDS
        self._shares = Shares()

    @property
    def capacity(self) -> int:
        """Number of searches allowed at once now."""
        return int(self._capacity)

    def adapt(self, *, busy: bool, late: bool = False) -> None:
        """Change the capacity once per tick: a tenth less while ``busy``, else one more.

        ``late`` is the earlier sign, at which the searches above the shares become fewer.
        """
        excess = self._excess_capacity
        increase = _EXCESS_INCREASE * min(1.0, excess)
        excess = excess * _EXCESS_DECREASE_FACTOR if busy or late else excess + increase
        self._excess_capacity = min(float(self._limit), max(_EXCESS_CAPACITY_MIN, excess))
        if busy:
            self._capacity = max(min(_CAPACITY_MIN, self._limit), self._capacity * _DECREASE_FACTOR)
        else:
            self._capacity = min(self._limit, self._capacity + 1)
        self._wake_waiters()

    def follow(self, shares: Shares) -> None:
        """Favour the tenants within their share from now on."""
        self._shares = shares
        for tenant in self._paused_until.keys() - shares.above:
            del self._paused_until[tenant]

    def expected_wait_seconds(self, tenant: str = "default") -> float:
        """Return the expected wait of the tenant's next query."""
        ahead = len(self._queues.get(tenant, ())) + 1
        slots = float(self._slots_for(tenant))
        if tenant in self._shares.above:
            slots = min(slots, self._excess_capacity)
        return ahead * self._mean_seconds / slots

    def is_full(self, tenant: str) -> bool:
        """Return True when the tenant's next query would wait too long for a slot."""
        must_wait = tenant in self._queues or not self._has_slot(tenant)
        return must_wait and self.expected_wait_seconds(tenant) > self._wait_seconds

    @asynccontextmanager
    async def acquire(self, tenant: str = "default") -> AsyncIterator[bool]:
        """Hold a slot; the value is True if the query waited. Raises Overloaded."""
        must_wait = tenant in self._queues or not self._has_slot(tenant)
        if must_wait:
            await self._wait_for_slot(tenant)
        else:
            self._in_use[tenant] += 1
        started = time.monotonic()
        try:
            yield must_wait
        finally:
            seconds = time.monotonic() - started
            self._mean_seconds += _MEAN_WEIGHT * (seconds - self._mean_seconds)
            self._pause(tenant, seconds)
            self._release(tenant)

    def _has_slot(self, tenant: str) -> bool:
        if time.monotonic() < self._paused_until.get(tenant, 0.0):
            return False
        return self._in_use.total() < self.capacity and self._in_use[tenant] < self._slots_for(
            tenant
        )

    def _pause(self, tenant: str, seconds: float) -> None:
        """Let a tenant above its share rest after a search, so that it holds less than one slot."""
        self._paused_until.pop(tenant, None)
        if tenant in self._shares.above and self._excess_capacity < 1.0:
            rest_seconds = seconds * (1.0 / self._excess_capacity - 1.0)
            self._paused_until[tenant] = time.monotonic() + min(rest_seconds, _PAUSE_SECONDS_MAX)

    def _slots_for(self, tenant: str) -> int:
        """Return the number of slots that the tenant may hold now, at least one."""
        contenders = len(self._in_use.keys() | self._queues.keys() | {tenant})
        share = math.ceil(self.capacity / contenders)
        if tenant not in self._shares.above:
            return share
        others = self._in_use.total() - self._in_use[tenant]
        unreserved = self.capacity - max(1, self.capacity // _RESERVED_PART) - others
        fair = max(self.capacity // self._shares.active, min(share, unreserved))
        return max(1, min(int(self._excess_capacity), fair))

    def _release(self, tenant: str) -> None:
        self._in_use[tenant] -= 1
        self._in_use += Counter()  # drops tenants that hold no slot
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        """Give free slots to the first query of each tenant in turn."""
        while tenant := next(
            (waiting_tenant for waiting_tenant in self._queues if self._has_slot(waiting_tenant)),
            None,
        ):
            queue = self._queues.pop(tenant)
            slot = queue.popleft()
            if queue:
                self._queues[tenant] = queue  # at the end: the next tenant comes first
            if not slot.cancelled():
                self._in_use[tenant] += 1
                slot.set_result(None)

    async def _wait_for_slot(self, tenant: str) -> None:
        limit_seconds = min(self._wait_seconds, remaining_seconds())
        waiting = len(self._queues.get(tenant, ()))
        # The first query of a tenant below its share may wait: its turn is the next one.
        is_next = not waiting and self._in_use[tenant] < self._slots_for(tenant)
        if self._shares.favours(tenant):
            limit_seconds = min(_FAVOURED_WAIT_SECONDS, remaining_seconds())
        elif not is_next and self.expected_wait_seconds(tenant) > limit_seconds:
            raise Overloaded(f"{waiting} queries of this tenant wait for a search slot already")
        slot = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(slot)
        try:
            with time_phase("wait"):
                async with asyncio.timeout(limit_seconds):
                    await slot
        except (TimeoutError, asyncio.CancelledError) as error:
            self._leave_queue(tenant, slot)
            if isinstance(error, TimeoutError):
                raise Overloaded(f"no search slot within {limit_seconds:.3g} s") from None
            raise

    def _leave_queue(self, tenant: str, slot: asyncio.Future[None]) -> None:
        """Remove a waiting query; a slot that it got at the last moment is released."""
        queue = self._queues.get(tenant, deque())
        if slot in queue:
            queue.remove(slot)
            if not queue:
                del self._queues[tenant]
        elif not slot.cancelled():
            self._release(tenant)
