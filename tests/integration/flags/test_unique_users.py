"""Users are counted once over all processes, and counting never costs a query anything."""

import math
import time
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from router.answer import Cohort
from router.observability.metrics import RouterMetrics
from sluice.flags.service import period_counter
from sluice.flags.service.counted_user import SLOTS, CountedUser
from sluice.flags.service.unique_users import UniqueUserCounter
from sluice.flags.service.user_means import LOG_TIME, REWARD, SUMS
from sluice.flags.service.user_record import HOURLY_REQUESTS_COUNTED_MAX, REQUESTS_COUNTED_MAX

pytestmark = pytest.mark.integration
EPOCH = 1_700_000_000_000


@dataclass
class CountingProcess:
    """One router process, as far as counting goes."""

    counts: UniqueUserCounter
    metrics: RouterMetrics

    @classmethod
    def connect(cls, redis: Redis) -> "CountingProcess":
        metrics = RouterMetrics()
        return cls(UniqueUserCounter(redis, "users-test", metrics.users), metrics)

    def read(self, name: str, since: str = "step", **labels: str) -> float:
        has_period = not name.endswith(("users_total", "new_total", "dropped_total", "seconds"))
        has_period = has_period and "users" in name
        period = {"since": since} if has_period else {}
        if "users_failed" in name:
            labels = {"past": "usual", **labels}
        return self.metrics.registry.get_sample_value(name, {**labels, **period}) or 0.0


def user_member(number: int, epoch: int = EPOCH) -> CountedUser:
    return CountedUser.from_user_id(epoch, f"user-{number}")


async def test_a_user_counts_once_whichever_process_answers(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        here, there = CountingProcess.connect(redis), CountingProcess.connect(redis)
        for process in (here, there, here):
            for number in range(40):
                cohort: Cohort = "treatment" if number < 10 else "control"
                late = 0.9 if number % 2 else 0.05
                process.counts.record_query(user_member(number), cohort, late, failed=number < 5)
                process.counts.record_reward(user_member(number), cohort, 0.5)
            await process.counts.flush()
    treated = {
        "router_users_total": [10, 0],
        "router_users_new_total": [10, 0],
        "router_users_reward_count": [10, 0],
        "router_users_reward_sum": [5.0, 0],
        "router_users_reward_squares_total": [2.5, 0],
    }
    for name, expected in treated.items():
        found = [one.read(name, cohort="treatment") for one in (here, there)]
        assert found == expected, name
    for nth, hit, at_risk in (("1", 5, 20), ("2", 5, 5), ("4", 0, 5), ("8", 0, 0)):
        for name, expected_count in (("failed", hit), ("failed_at_risk", at_risk)):
            counts = [
                one.read(f"router_users_{name}_total", cohort="treatment", nth=nth)
                for one in (here, there)
            ]
            assert sum(counts) == expected_count, (name, nth)
    for edge, hit in (("0.10842", 5), ("0.807794", 5), ("1.57772", 0)):
        assert here.read("router_users_slow_total", cohort="treatment", edge=edge) == hit
    assert here.read("router_users_total", cohort="control") == 30


def mean_sums(processes: list[CountingProcess], kind: str, cohort: str) -> list[float]:
    name = f"router_users_mean_{kind}_total"
    return [sum(p.read(name, cohort=cohort, sum=one) for p in processes) for one in SUMS]


async def test_a_user_counts_with_one_mean_over_processes(redis_url: str) -> None:
    """Squares are of the user, not of the answers, whichever process gave them."""
    async with Redis.from_url(redis_url) as redis:
        processes = [CountingProcess.connect(redis) for _ in range(2)]
        for number in range(4):
            process = processes[number % 2]
            process.counts.record_query(user_member(1), "control", 0.2, failed=False)
            process.counts.record_query(user_member(1), "control", None, failed=False)  # cached
            process.counts.record_reward(user_member(1), "control", 0.25)
            await process.counts.flush()
    for kind, rule, mean in (("log_time", LOG_TIME, math.log(200)), ("reward", REWARD, 0.25)):
        weight = 4 * rule.within_to_between / (4 + rule.within_to_between)
        value = weight * (mean + rule.offset)
        expected = [weight, value, value**2, weight * value, weight**2]
        assert mean_sums(processes, kind, "control") == pytest.approx(expected, rel=1e-3)


async def test_a_users_past_is_taken_out_of_its_mean(redis_url: str) -> None:
    """A user who was slow before the rollout counts as usual when it is slow in it."""
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        for number, seconds in ((1, 0.8), (2, 0.2)):
            for _ in range(40):
                before = CountedUser.before_rollout(f"user-{number}")
                process.counts.record_query(before, "control", seconds, failed=False)
                process.counts.record_reward(before, "control", seconds)
        await process.counts.flush()
        assert mean_sums([process], "log_time", "control") == [0] * len(SUMS)
        for number, cohort, seconds in ((1, "treatment", 0.8), (2, "control", 0.2)):
            user = user_member(number)
            process.counts.record_query(user, cohort, seconds, failed=False)  # type: ignore[arg-type]
            process.counts.record_reward(user, cohort, seconds)  # type: ignore[arg-type]
        await process.counts.flush()
    for kind, rule, difference in (("log_time", LOG_TIME, math.log(4)), ("reward", REWARD, 0.6)):
        means = []
        for cohort in ("treatment", "control"):
            weight, value, *_ = mean_sums([process], kind, cohort)
            assert weight == pytest.approx(44 / 45, abs=0.01)
            means.append(value / weight)
        left = 1 - 40 / (40 + rule.within_to_between)
        assert means[0] - means[1] == pytest.approx(left * difference, abs=0.01)


async def test_the_newest_values_before_a_rollout_weigh_most(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        before = CountedUser.before_rollout("user-1")
        for seconds in (0.1, 0.4):
            for _ in range(150):
                process.counts.record_query(before, "control", seconds, failed=False)
                await process.counts.flush()
        count, total = await redis.execute_command(  # type: ignore[no-untyped-call]
            *("BITFIELD", "sluice:users-test:users:past", "GET", "u8", before.slot * 64),
            *("GET", "u16", before.slot * 64 + 8),
        )
    assert 25 <= count <= 50
    assert total / count / LOG_TIME.steps == pytest.approx(math.log(400), abs=0.1)


async def test_only_the_first_requests_of_a_user_count(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        for _ in range(REQUESTS_COUNTED_MAX + 20):
            process.counts.record_query(user_member(1), "control", 0.01, failed=False)
        await process.counts.flush()
        other = CountingProcess.connect(redis)
        other.counts.record_query(user_member(1), "control", 0.01, failed=True)
        await other.counts.flush()
    at_risk = process.read("router_users_failed_at_risk_total", cohort="control", nth="1")
    assert at_risk == REQUESTS_COUNTED_MAX
    assert other.read("router_users_failed_total", cohort="control", nth="1") == 0


async def test_the_first_requests_of_each_hour_count_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that begins late is seen by users whose first requests were long ago."""
    hour = EPOCH / 1000
    monkeypatch.setattr(time, "time", lambda: hour)
    async with Redis.from_url(redis_url) as redis:
        here, there = CountingProcess.connect(redis), CountingProcess.connect(redis)
        for _ in range(3):
            for process in (here, there):
                for _ in range(HOURLY_REQUESTS_COUNTED_MAX):
                    process.counts.record_query(user_member(1), "control", 0.01, failed=True)
                await process.counts.flush()
            hour += 3600
    at_risk, hit = (
        sum(
            process.read(f"router_users_{name}_total", "hour", cohort="control", nth="1")
            for process in (here, there)
        )
        for name in ("failed_at_risk", "failed")
    )
    assert (at_risk, hit) == (3, 3)
    assert here.read("router_users_failed_total", cohort="control", nth="1") == 1


async def test_lost_records_begin_a_new_counting(redis_url: str) -> None:
    """Every user counts again, so the time since which users are counted changes with it."""
    async with Redis.from_url(redis_url) as redis:
        here, there = CountingProcess.connect(redis), CountingProcess.connect(redis)
        since = []
        for is_lost in (False, True, False):
            if is_lost:
                async for key in redis.scan_iter("sluice:users-test:users:*"):
                    await redis.delete(key)
            for process in (here, there):
                process.counts.record_query(user_member(1), "control", 0.01, failed=False)
                await process.counts.flush()
            since.append(
                [p.read("router_users_counted_since_timestamp_seconds") for p in (here, there)]
            )
    assert since[0][0] == since[0][1] < since[1][0] == since[1][1]
    assert since[2] == since[1]
    seen = [process.read("router_users_total", cohort="control") for process in (here, there)]
    assert seen == [2, 0]
    assert here.read("router_users_dropped_total", reason="lost") == 1  # this hour ends


async def test_a_user_of_an_earlier_epoch_is_not_new(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        for epoch in (EPOCH, EPOCH + 1):
            process.counts.record_query(user_member(1, epoch), "control", 0.01, failed=False)
            await process.counts.flush()
    assert process.read("router_users_total", cohort="control") == 2
    assert process.read("router_users_new_total", cohort="control") == 1


async def test_a_later_failure_of_a_known_user_still_counts(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        for failed in (False, True, True):
            process.counts.record_query(user_member(1), "control", 0.01, failed=failed)
            await process.counts.flush()
    assert process.read("router_users_total", cohort="control") == 1
    for nth in ("1", "2"):
        assert process.read("router_users_failed_total", cohort="control", nth=nth) == 1


async def test_a_new_epoch_counts_every_user_again_and_deletes_the_previous_one(
    redis_url: str,
) -> None:
    async with Redis.from_url(redis_url) as redis:
        process = CountingProcess.connect(redis)
        process.counts.record_query(user_member(1), "control", 0.01, failed=False)
        await process.counts.flush()
        process.counts.record_query(
            user_member(2), "control", 0.01, failed=False
        )  # not flushed yet
        process.counts.record_query(user_member(1, EPOCH + 1), "treatment", 0.01, failed=False)
        process.counts.record_query(
            user_member(3), "control", 0.01, failed=True
        )  # began before the change
        await process.counts.flush()
        keys = [key async for key in redis.scan_iter("sluice:users-test:users:*")]
        assert all([await redis.ttl(key) > 0 for key in keys])
    assert process.read("router_users_total", cohort="control") == 1
    assert process.read("router_users_total", cohort="treatment") == 1
    assert process.read("router_users_failed_total", cohort="control", nth="1") == 0


async def test_without_redis_marks_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(period_counter, "PENDING_MAX", 3)
    async with Redis.from_url("redis://127.0.0.1:9") as redis:  # nothing listens there
        process = CountingProcess.connect(redis)
        for number in range(5):
            process.counts.record_query(user_member(number), "control", 0.01, failed=False)
        await process.counts.flush()
        await process.counts.flush()
    assert process.read("router_users_total", cohort="control") == 0
    assert process.read("router_users_dropped_total", reason="queue_full") == 2 * 2
    assert process.read("router_users_dropped_total", reason="redis") == 2 * 3  # step and hour
    assert process.read("router_redis_errors_total") == 2


@pytest.mark.parametrize(
    "text", ["", "1", "x.y.1", "1.2", "1.2.3.4", "-1.2.3", f"1.{SLOTS:x}.1", f"1.2.{SLOTS:x}"]
)
def test_only_a_members_own_text_is_read(text: str) -> None:
    member = user_member(7)
    assert CountedUser.parse(member.token) == member
    assert CountedUser.parse(text) is None
