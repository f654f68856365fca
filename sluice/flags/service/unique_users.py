"""Users of an epoch: what the statistical gates count, over all processes.

Requests of one user are alike, so a test that counts requests is misled by a few heavy users. Here a
user counts in each *epoch* of the flag, that is until its percentage changes, with its first requests
only. A record per user lies in Redis. Users share a slot now and then; which ones do has nothing to do
with their cohort, so tests stay exact and only lose a little power. Counting does not delay or fail a
query: requests wait in memory and go to Redis together. They are dropped, and counted as dropped, where
that does not work. Records that Redis has lost end the epoch's counting: users would count twice.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError
from xxhash import xxh3_64_intdigest

from sluice.flags.evaluation import Evaluation, Reason
from sluice.flags.service.user_record import (
    LOG_STEPS,
    REQUESTS_COUNTED_MAX,
    CountedRequest,
    UserIncrements,
    UserRecord,
    batch_value,
    count_requests,
)
from sluice.flags.view import FlagView

Cohort = Literal["control", "treatment"]

SLOTS = 2**20
"""Eight megabytes of Redis for each epoch; of 200,000 users a tenth share a slot."""
FLUSH_SECONDS = 0.25
FLUSH_TIMEOUT_SECONDS = 2.0
USERS_PER_CALL = 500
PENDING_MAX = 20_000
RECORD_TTL_SECONDS = 60 * 24 * 3600
"""How long an epoch's records outlive their last change: longer than any step."""
COUNT_USERS = (Path(__file__).parent / "count_users.lua").read_text(encoding="utf-8")
FULL_PERCENTAGE = 100
DROP_REASONS = ("queue_full", "redis", "lost")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CountedUser:
    """A user in one epoch, as far as counting goes; the slots do not show who it is.

    `lasting_slot`: the same in every epoch; None where only the token is known.
    """

    epoch: int
    slot: int
    lasting_slot: int | None = field(default=None, compare=False)

    @classmethod
    def from_user_id(cls, epoch: int, user_id: str) -> "CountedUser":
        slot = xxh3_64_intdigest(f"{epoch}/{user_id}".encode()) % SLOTS
        return cls(epoch, slot, xxh3_64_intdigest(user_id.encode()) % SLOTS)

    @property
    def token(self) -> str:
        """Short, for a query id: so that feedback finds its user in every process."""
        return f"{self.epoch:x}.{self.slot:x}"

    @classmethod
    def parse(cls, text: str) -> "CountedUser | None":
        """Return the user whose `token` this is; None for any other text."""
        try:
            epoch, slot = (int(part, 16) for part in text.split("."))
        except ValueError:
            return None
        return cls(epoch, slot) if epoch > 0 and 0 <= slot < SLOTS else None


def counted_user(
    view: FlagView, flag_name: str, evaluation: Evaluation, user_id: str | None
) -> CountedUser | None:
    """Return the user to count for `evaluation`; None where the user takes no part.

    Only users that the percentage alone assigned are comparable: a whitelist selects its users.
    """
    snapshot = view.snapshot()
    flag = snapshot.flags.get(flag_name)
    if not user_id or flag is None or not flag.epoch or evaluation.version != snapshot.version:
        return None
    is_random = evaluation.reason in (Reason.SPLIT, Reason.DEFAULT)
    if not is_random or not 0 < flag.rollout_percentage < FULL_PERCENTAGE:
        return None
    return CountedUser.from_user_id(flag.epoch, user_id)


class UserMetrics(Protocol):
    """Counters of users, by cohort."""

    def count_seen(self, cohort: Cohort, *, new: bool) -> None:
        """Count a user's first request in the epoch; `new`: the first one ever."""

    def count_requests(self, cohort: Cohort, increments: UserIncrements) -> None:
        """Count failures, slow answers, and requests of users at risk of them."""

    def count_log_time(self, cohort: Cohort, value: float) -> None:
        """Count one batch of a user's log times."""

    def count_rated(self, cohort: Cohort, score: float) -> None:
        """Count a user's first score, 0 to 1."""

    def count_dropped(self, reason: str, users: int) -> None:
        """Count users that were not counted, by one of `DROP_REASONS`."""


@dataclass(slots=True)
class PendingUser:
    """A user's requests since the last flush."""

    cohort: Cohort
    lasting_slot: int = -1
    requests: list[CountedRequest] = field(default_factory=list)
    reward: float | None = None

    def arguments(self, slot: int) -> list[int | str]:
        """Return the user's arguments of `count_users.lua`."""
        answers = [request for request in self.requests if request.seconds is not None]
        return [
            slot,
            self.lasting_slot,
            len(self.requests),
            sum(request.failed for request in self.requests),
            max((answer.slow_edges for answer in answers), default=0),
            int(self.reward is not None),
            ",".join(str(answer.log_steps) for answer in answers),
        ]


Row = Sequence[int]
"""What `count_users.lua` returns of one user."""


class UniqueUserCounter:
    """Counts users of the epoch that is live. One loop calls it: the router's own."""

    def __init__(self, redis: Redis, environment: str, metrics: UserMetrics) -> None:
        self._count_users = redis.register_script(COUNT_USERS)
        self._prefix = f"sluice:{environment}:users"
        self._metrics = metrics
        self._flush_lock = asyncio.Lock()
        self._start_epoch(0)

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._pending: dict[int, PendingUser] = {}
        self._pending_count = 0
        self._is_created = False  # whether this process has seen the epoch's records
        self._is_lost = False
        self._counted_requests = bytearray(SLOTS) if epoch else bytearray()

    def record_query(
        self, user: CountedUser, cohort: Cohort, seconds: float | None, *, failed: bool
    ) -> None:
        """Note a query; `seconds` None: answered by the cache. Never waits, never raises."""
        if not self._accepts(user) or self._counted_requests[user.slot] >= REQUESTS_COUNTED_MAX:
            return
        self._counted_requests[user.slot] += 1
        pending = self._pending_user(user, cohort)
        pending.requests.append(CountedRequest(failed, seconds))
        if user.lasting_slot is not None:
            pending.lasting_slot = user.lasting_slot

    def record_reward(self, user: CountedUser, cohort: Cohort, reward: float) -> None:
        """Note the reward of a feedback, 0 to 1; a user's first one counts.

        `user` must be of the flag's epoch: query ids come back from outside.
        """
        if self._accepts(user):
            pending = self._pending_user(user, cohort)
            pending.reward = reward if pending.reward is None else pending.reward

    def _accepts(self, user: CountedUser) -> bool:
        if user.epoch > self._epoch:  # what is left of the last one belongs to other shares
            self._start_epoch(user.epoch)
        if user.epoch < self._epoch or self._is_lost:
            return False
        if self._pending_count >= PENDING_MAX:
            self._metrics.count_dropped("queue_full", 1)
            return False
        self._pending_count += 1
        return True

    def _pending_user(self, user: CountedUser, cohort: Cohort) -> PendingUser:
        return self._pending.setdefault(user.slot, PendingUser(cohort))

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Add everything pending to the records and count what is new; what fails is dropped.

        What was noted before is done when it returns, also by a flush that was under way.
        """
        async with self._flush_lock:
            batch, self._pending, self._pending_count = list(self._pending.items()), {}, 0
            for start in range(0, len(batch), USERS_PER_CALL):
                await self._flush_users(batch[start : start + USERS_PER_CALL])

    async def _flush_users(self, batch: Sequence[tuple[int, PendingUser]]) -> None:
        epoch = self._epoch
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SECONDS):
                rows = await self._add_to_records(batch, epoch)
        except (RedisError, OSError, TimeoutError) as error:
            # Some may have been added: their users are lost, in both cohorts alike.
            self._metrics.count_dropped("redis", len(batch))
            logger.warning("requests of %d users were not counted: %r", len(batch), error)
            return
        if epoch != self._epoch:  # the percentage changed meanwhile: these belong to other shares
            return
        if rows is None:
            self._is_lost = True
            self._metrics.count_dropped("lost", len(batch))
            logger.error("Redis lost the users of epoch %d: counting ends until the next", epoch)
            return
        self._is_created = True
        for (_, pending), row in zip(batch, rows, strict=True):
            self._count(pending, row)

    async def _add_to_records(
        self, batch: Sequence[tuple[int, PendingUser]], epoch: int
    ) -> list[Row] | None:
        """Return each record as it was before; None when Redis has lost them."""
        arguments: list[int | str] = [int(self._is_created), RECORD_TTL_SECONDS]
        for slot, pending in batch:
            arguments += pending.arguments(slot)
        keys = [f"{self._prefix}:{epoch}:records", f"{self._prefix}:ever"]
        rows: list[Row] | int = await self._count_users(keys=keys, args=arguments)
        return None if isinstance(rows, int) else rows

    def _count(self, pending: PendingUser, row: Row) -> None:
        requests, failures, slow_edges, rated, ever_seen, *batches = row
        metrics, cohort = self._metrics, pending.cohort
        if pending.requests and not requests:
            metrics.count_seen(cohort, new=not ever_seen)
        record = UserRecord(requests, failures, slow_edges)
        metrics.count_requests(cohort, count_requests(record, pending.requests))
        for at in range(0, len(batches), 3):
            answers, past_sum, sum_ = batches[at : at + 3]
            value = batch_value(answers, past_sum / LOG_STEPS, sum_ / LOG_STEPS)
            metrics.count_log_time(cohort, value)
        if pending.reward is not None and not rated:
            metrics.count_rated(cohort, pending.reward)
