"""More than the cores can do is refused at once; what waits, waits in order and not for long."""

import asyncio
import contextlib
import time
from collections import Counter

import pytest

from router.errors import Overloaded, QuotaExceeded
from router.observability.metrics import RouterMetrics
from router.observability.trace import open_trace
from router.overload.admission import AdmissionControl, AdmissionLimits
from router.overload.event_loop_lag import SHED_SECONDS
from router.overload.search_limiter import SearchLimiter
from router.overload.tenant_shares import Shares, TenantShares


async def test_nobody_waits_while_there_are_turns() -> None:
    turns = SearchLimiter(2, 0.3)
    async with turns.acquire() as first, turns.acquire() as second:
        assert (first, second) == (False, False)


async def test_the_next_one_waits_for_a_turn_in_order() -> None:
    turns, order = SearchLimiter(1, 5.0), list[int]()

    async def ask(number: int) -> None:
        async with turns.acquire() as waited:
            assert waited == (number > 0)
            order.append(number)
            await asyncio.sleep(0.01)

    with open_trace() as trace:
        await asyncio.gather(*map(ask, range(5)))
    assert order == list(range(5))
    assert trace.seconds["wait"] > 0


async def test_a_line_that_is_too_long_refuses_at_once() -> None:
    turns = SearchLimiter(1, 0.3)
    async with turns.acquire():
        waiting = [asyncio.create_task(_acquire_once(turns)) for _ in range(50)]
        await asyncio.sleep(0)
        started = time.monotonic()
        with pytest.raises(Overloaded) as refused:
            async with turns.acquire():
                pass
        assert time.monotonic() - started < 0.1
        assert refused.value.retry_after_seconds == 1
        answered = [task for task in waiting if not task.done()]
        assert 0 < len(answered) <= 6  # 0.3 s at the 0.05 s that a search is expected to take
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not any(task.exception() for task in answered)


async def test_nobody_waits_longer_than_allowed_for_a_search_that_is_stuck() -> None:
    turns = SearchLimiter(1, 0.1)
    async with turns.acquire():
        with pytest.raises(Overloaded, match=r"within 0\.1 s"):
            await _acquire_once(turns)


async def test_slow_searches_shorten_the_line() -> None:
    turns = SearchLimiter(1, 1.0)
    before = turns.expected_wait_seconds()
    async with turns.acquire():
        await asyncio.sleep(0.2)
    assert turns.expected_wait_seconds() > before


async def test_a_busy_process_searches_less_at_once_and_recovers_by_itself() -> None:
    turns = SearchLimiter(16, 0.3)
    for _ in range(100):
        turns.adapt(busy=True)
    assert turns.capacity == 2
    for _ in range(14):
        turns.adapt(busy=False)
    assert turns.capacity == 16


async def test_a_raised_limit_admits_waiting_queries() -> None:
    turns = SearchLimiter(3, 5.0)
    for _ in range(100):
        turns.adapt(busy=True)
    async with turns.acquire(), turns.acquire():
        waiting = asyncio.create_task(_acquire_once(turns))
        await asyncio.sleep(0)
        turns.adapt(busy=False)
        assert await waiting is True


async def test_a_turn_that_comes_with_the_cancellation_goes_to_the_next_in_line() -> None:
    turns = SearchLimiter(1, 5.0)
    async with turns.acquire():
        first, second = (asyncio.create_task(_acquire_once(turns)) for _ in range(2))
        await asyncio.sleep(0)
    first.cancel()  # its turn is there already, and it has not run since
    assert await second is True
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failed_or_cancelled_query_releases_its_slot() -> None:
    turns = SearchLimiter(1, 0.3)
    with pytest.raises(KeyError):
        async with turns.acquire():
            raise KeyError
    async with turns.acquire():
        waiting = asyncio.create_task(_acquire_once(turns))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert await _acquire_once(turns) is False


def test_the_in_flight_limit_counts_all_queries() -> None:
    admission = AdmissionControl(AdmissionLimits(in_flight=1), RouterMetrics())
    with admission.admit(), pytest.raises(Overloaded, match="1 queries"), admission.admit():
        pass
    with admission.admit():
        pass


async def test_one_tenant_holds_at_most_its_share_of_the_slots_while_another_waits() -> None:
    limiter, order = SearchLimiter(2, 5.0), list[str]()

    async def search(tenant: str) -> None:
        async with limiter.acquire(tenant):
            order.append(tenant)
            await asyncio.sleep(0.01)

    abusive = [asyncio.create_task(search("abusive")) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.gather(*(search("quiet") for _ in range(3)))
    assert [*order].index("quiet") <= 3
    assert order[:9].count("quiet") == 3, order
    await asyncio.gather(*abusive)


async def test_the_first_query_of_a_tenant_waits_although_searches_are_slow() -> None:
    """An estimate of long waits refuses the tenant that holds the slots, not the one without any."""
    limiter = SearchLimiter(2, 0.3)
    limiter._mean_seconds = 5.0  # far more than anybody may wait
    holding = [asyncio.create_task(_hold(limiter, "abusive", 0.1)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await _hold(limiter, "abusive", 0.0)
    await _hold(limiter, "quiet", 0.0)
    await asyncio.gather(*holding)


async def _hold(limiter: SearchLimiter, tenant: str, seconds: float) -> None:
    async with limiter.acquire(tenant):
        await asyncio.sleep(seconds)


def test_load_above_a_share_is_refused_before_all_other_load() -> None:
    """At a lag that refuses all of one tenant's excess, a tenant within its share loses nothing."""
    admission = AdmissionControl(AdmissionLimits(), RouterMetrics())
    refused: Counter[str] = Counter()
    for number in range(220):
        if number == 110:
            for _ in range(5):
                admission.record_lag(1.6 * SHED_SECONDS)
        tenant = "quiet" if number % 11 == 0 else "abusive"
        try:
            admission.require_capacity(tenant)
        except Overloaded:
            refused[tenant] += 1
    assert refused == {"abusive": 100}


async def _acquire_tenant(limiter: SearchLimiter, tenant: str) -> bool:
    async with limiter.acquire(tenant) as waited:
        return waited


async def _acquire_once(turns: SearchLimiter) -> bool:
    async with turns.acquire() as waited:
        return waited


def _shares_of(**queries: int) -> Shares:
    tenants = TenantShares(0.0, lambda: 0.0)
    for tenant, count in queries.items():
        for _ in range(count):
            tenants.record_arrival(tenant)
    return tenants.current()


async def test_a_tenant_above_its_share_leaves_slots_for_the_others() -> None:
    limiter = SearchLimiter(8, 0.3)
    limiter.follow(_shares_of(abusive=10, quiet=1))
    abusive = [asyncio.create_task(_hold(limiter, "abusive", 0.05)) for _ in range(60)]
    await asyncio.sleep(0)
    for _ in range(2):
        async with limiter.acquire("quiet") as waited:
            assert not waited
    results = await asyncio.gather(*abusive, return_exceptions=True)
    assert any(isinstance(each, Overloaded) for each in results)  # its own line is bounded


async def test_a_tenant_above_its_share_uses_what_is_left_over() -> None:
    limiter = SearchLimiter(8, 0.3)
    limiter.follow(_shares_of(abusive=10, quiet=1))
    async with contextlib.AsyncExitStack() as slots:
        for _ in range(6):
            assert not await slots.enter_async_context(limiter.acquire("abusive"))
        assert limiter.expected_wait_seconds("abusive") < 0.3


async def test_the_first_delays_take_slots_from_the_tenant_above_its_share_alone() -> None:
    """Its searches would take the core from theirs; without delays it has what is left over again."""
    limiter = SearchLimiter(8, 5.0)
    limiter.follow(_shares_of(abusive=10, quiet=1))
    for _ in range(10):
        limiter.adapt(busy=False, late=True)
    assert limiter.capacity == 8
    async with contextlib.AsyncExitStack() as slots:
        assert not await slots.enter_async_context(limiter.acquire("abusive"))
        assert limiter.is_full("abusive") is False  # its one slot is free soon
        second = asyncio.create_task(_acquire_tenant(limiter, "abusive"))
        await asyncio.sleep(0)
        for _ in range(4):
            assert not await slots.enter_async_context(limiter.acquire("quiet"))
        assert not second.done()
        for _ in range(20):
            limiter.adapt(busy=False, late=False)
        async with asyncio.timeout(1):
            assert await second


async def test_a_tenant_above_its_share_keeps_its_share_while_the_others_fill_the_rest() -> None:
    limiter = SearchLimiter(4, 5.0)
    limiter.follow(_shares_of(abusive=20, **{f"quiet-{number}": 1 for number in range(3)}))
    async with contextlib.AsyncExitStack() as slots:
        for number in range(3):
            await slots.enter_async_context(limiter.acquire(f"quiet-{number}"))
        async with asyncio.timeout(1), limiter.acquire("abusive") as waited:
            assert not waited


async def test_a_tenant_within_its_share_is_not_refused_for_the_estimate_of_its_wait() -> None:
    limiter = SearchLimiter(1, 0.05)
    limiter._mean_seconds = 5.0  # far more than anybody may wait
    limiter.follow(_shares_of(abusive=20, quiet=1))
    async with limiter.acquire("abusive"):
        waiting = [asyncio.create_task(_acquire_once(limiter)) for _ in range(3)]
        await asyncio.sleep(0.1)
        with pytest.raises(Overloaded):
            await _hold(limiter, "abusive", 0.0)
    assert await asyncio.gather(*waiting) == [True, True, True]


async def test_a_full_line_refuses_the_tenant_above_its_share_unread() -> None:
    admission = AdmissionControl(AdmissionLimits(concurrent_searches=1), RouterMetrics())
    for _ in range(50):
        admission.require_capacity("abusive")
    admission.require_capacity("quiet")
    async with admission.search_slot("quiet"):
        for _ in range(10):
            task = asyncio.create_task(_hold_slot(admission, "abusive"))
            await asyncio.sleep(0)
        with pytest.raises(QuotaExceeded, match="'abusive' sends more than its share"):
            admission.require_capacity("abusive")
        admission.require_capacity("quiet")
        task.cancel()


async def _hold_slot(admission: AdmissionControl, tenant: str) -> None:
    with contextlib.suppress(Overloaded):
        async with admission.search_slot(tenant):
            pass


async def test_waits_for_the_models_lower_the_number_of_searches() -> None:
    waits = iter([1.0] * 3)
    metrics = RouterMetrics()
    admission = AdmissionControl(AdmissionLimits(), metrics, lambda: next(waits, 0.0))
    running = asyncio.create_task(admission.run())
    await asyncio.sleep(0.2)
    running.cancel()
    assert (metrics.registry.get_sample_value("router_searches_allowed") or 16) < 16


def test_the_count_of_many_tenants_is_reused_for_a_moment() -> None:
    now = 0.0
    tenants = TenantShares(0.0, lambda: now)
    for number in range(1000):
        tenants.record_arrival(f"tenant-{number}")
    before = tenants.current()
    for _ in range(100):
        tenants.record_arrival("abusive")
    assert tenants.current() is before
    now = 0.05
    assert tenants.current().above == {"abusive"}
