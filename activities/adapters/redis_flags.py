"""The flags port on Redis, where the routers read their flags, and on the routers themselves."""

import asyncio
from collections.abc import Mapping
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from activities.adapters.shared_reads import SharedReads
from activities.adapters.stored_flags import StoredFlags, store_errors
from activities.contract.models import Confirmation, ConfirmRequest
from sluice.flags import FeatureFlags, FlagDocument, FlagState
from sluice.flags.redis.process_polling import ReadBack, poll_processes
from sluice.flags.redis.process_registry import list_processes
from sluice.flags.redis.urls import connect
from sluice.flags.signatures import FlagSigner, load_public_keys, load_signing_key

COMMAND_SECONDS_MAX = 2.5
POLL_SECONDS = 0.05
ASKED_SECONDS = 10.0
"""A process that asked for a deleted flag within so long still asks for it."""


class RedisFlags(StoredFlags):
    """The flag store of every environment in one Redis. Connects at first use."""

    def __init__(self, redis: Redis, keys: Mapping[str, str] | None = None) -> None:
        """``keys``: the variables that name the keys of flag signatures.

        Raises:
            FlagKeyError: a key cannot be used.
        """
        self._redis = redis
        self._signing_key = load_signing_key(keys or {})
        self._public_keys = load_public_keys(keys or {})
        self._reads: dict[str, SharedReads[FlagDocument]] = {}
        self._environments: dict[str, FeatureFlags] = {}

    @classmethod
    def from_url(cls, redis_url: str, keys: Mapping[str, str] | None = None) -> Self:
        """Make one with the limits that a rollback needs: 2.5 s a command, one reconnect."""
        redis = connect(
            redis_url,
            socket_timeout=COMMAND_SECONDS_MAX,
            socket_connect_timeout=COMMAND_SECONDS_MAX,
            retry=Retry(NoBackoff(), 1),
        )
        return cls(redis, keys)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def document(self, environment: str) -> FlagDocument:
        """Read all flags of an environment, for every watch that asks at the same time."""
        if environment not in self._reads:
            self._reads[environment] = SharedReads(self.environment(environment).document)
        return await self._reads[environment].get()

    async def confirm(self, request: ConfirmRequest) -> Confirmation:
        """Ask every live router process, every 50 ms, until none can serve more than asked for.

        A process that can't be asked counts as expired once the lease is over that the flags give
        it: from then on it has read the write, or serves the treatment to nobody.
        """
        read_back = ReadBack()
        while True:
            async with store_errors():
                document = await self.document(request.environment)
                processes = await list_processes(self._redis, request.environment)
            permitted_flag = _permitted_flag(document, request)
            # A flag that is held when stale has no lease that would end a silent process's answers.
            polled_processes = processes.live + (
                processes.silent if permitted_flag.on_stale == "hold" else ()
            )
            is_verified = await read_back.poll(polled_processes, permitted_flag)
            # An older document means that the store lost the write: nothing is confirmed then.
            if is_verified and document.version >= request.version:
                return Confirmation(
                    processes=len(read_back.by_answer),
                    expired=len(read_back.by_lease),
                    silent=len(processes.silent) if permitted_flag.on_stale == "off" else 0,
                    seconds=read_back.seconds,
                )
            await asyncio.sleep(POLL_SECONDS)

    async def askers(self, environment: str, flag: str) -> tuple[str, ...]:
        """Ask every live process; see ``activities.contract.ports.Flags``."""
        async with store_errors():
            processes = (await list_processes(self._redis, environment)).live
        polls = await poll_processes(processes)
        return tuple(
            poll.process.id
            for poll in polls
            if poll.response is not None and poll.response.asks(flag, ASKED_SECONDS)
        )

    def environment(self, name: str) -> FeatureFlags:
        """Return the flags of one environment; writes at the same time are committed together."""
        if name not in self._environments:
            key = self._signing_key
            signer = FlagSigner(key, name, self._public_keys) if key else None
            self._environments[name] = FeatureFlags(self._redis, environment=name, signer=signer)
        return self._environments[name]


def _permitted_flag(document: FlagDocument, request: ConfirmRequest) -> FlagState:
    """Return the upper limit for every process: the stored flag, capped at the request's percentage."""
    stored = document.flags.get(request.flag) or FlagState(name=request.flag)
    percentage = min(request.percentage, stored.rollout_percentage)
    return stored.model_copy(update={"rollout_percentage": percentage})
