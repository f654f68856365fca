"""The flag store as the command line uses it: plain errors, and what the routers made of a write."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cli.context import Context
from cli.errors import CliError, Exit
from cli.output import without_password
from router.flags import (
    FeatureFlags,
    FlagError,
    FlagState,
    FlagStoreError,
    InvalidFlagError,
    UnknownFlagError,
)
from router.flags.address import connect
from router.flags.processes import ProcessView, live_processes, seen_by_processes, verify
from router.flags.validation import checked_percentage

COMMAND_SECONDS_MAX = 2.0
OBEYED_SECONDS_MAX = 1.5
"""Longer than any process's lease: by then each has read the write, or treats nobody."""
POLL_SECONDS = 0.05
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")
CODES = {
    FlagStoreError: Exit.UNREACHABLE,
    InvalidFlagError: Exit.USAGE,
    UnknownFlagError: Exit.NOT_FOUND,
}


@dataclass(frozen=True)
class FlagSession:
    """The flags of one environment, and the routers that serve them."""

    flags: FeatureFlags
    redis: Redis
    http: httpx.AsyncClient
    environment: str

    async def processes(self) -> list[ProcessView]:
        """Ask every live router process what it serves."""
        return await seen_by_processes(
            await live_processes(self.redis, self.environment), self.http
        )

    async def obeyed(self, wanted: FlagState) -> "Obeyed":
        """Ask the processes until all have the write, at most OBEYED_SECONDS_MAX. Never raises."""
        began = time.monotonic()
        while True:
            try:
                views = await self.processes()
            except FlagStoreError as error:
                return Obeyed(unknown=str(error))
            seconds = time.monotonic() - began
            result = _obeyed(views, wanted, seconds)
            if (result.complete and result.certain) or seconds > OBEYED_SECONDS_MAX:
                return result
            await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Obeyed:
    """Which processes serve a write ``seconds`` after it was acknowledged."""

    have_it: Sequence[str] = ()
    by_lease: Sequence[str] = ()
    disobey: Sequence[str] = ()
    live: int = 0
    seconds: float = 0.0
    errors: Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""
    """Why nobody could be asked, although the write was acknowledged."""

    @property
    def certain(self) -> bool:
        """Whether no process is known, or feared, to serve more than was written."""
        return not self.disobey and not self.unknown

    @property
    def complete(self) -> bool:
        """Whether nobody is left to wait for."""
        return len(self.have_it) + len(self.by_lease) == self.live

    def told(self) -> str:
        """One line for people."""
        if self.unknown:
            return f"written; who serves it is not known: {self.unknown}"
        if not self.live:
            return "no router process is alive to serve it"
        text = f"{len(self.have_it)} of {self.live} router processes have it ({self.seconds:.2f} s)"
        if self.by_lease:
            text += f"; silent, so off by their lease: {', '.join(self.by_lease)}"
        if self.disobey:
            text += f"; NOT CONFIRMED: {', '.join(self.disobey)}"
        return text

    def document(self) -> dict[str, object]:
        """The same for scripts."""
        return {
            "live": self.live,
            "have_it": list(self.have_it),
            "by_lease": list(self.by_lease),
            "not_confirmed": list(self.disobey),
            "errors": dict(self.errors) | ({"store": self.unknown} if self.unknown else {}),
            "seconds": round(self.seconds, 3),
        }


def _obeyed(views: Sequence[ProcessView], wanted: FlagState, seconds: float) -> Obeyed:
    safe = verify(views, wanted, acknowledged_seconds_ago=seconds)
    have_it = [v.process.id for v in views if v.seen and v.seen.version >= wanted.version]
    return Obeyed(
        have_it=have_it,
        by_lease=tuple(safe.by_lease),
        disobey=(*safe.refuted, *safe.not_verified),
        live=len(views),
        seconds=seconds,
        errors={view.process.id: view.error for view in views if view.error},
    )


@asynccontextmanager
async def flag_session(context: Context) -> AsyncIterator[FlagSession]:
    """Connect to the flags; every ``FlagError`` inside becomes a CliError with its exit code."""
    redis = connected(context.redis_url)
    # Router processes are neighbours: a proxy of the environment is not for them.
    http = httpx.AsyncClient(trust_env=False)
    name = context.environment_name
    try:
        yield FlagSession(FeatureFlags(redis, environment=name), redis, http, name)
    except FlagError as error:
        raise plain(error, context.redis_url) from error
    finally:
        await http.aclose()
        await redis.aclose()


def connected(redis_url: str) -> Redis:
    """Make a client that gives up soon, for a command that a person waits for."""
    try:
        return connect(
            redis_url,
            socket_timeout=COMMAND_SECONDS_MAX,
            socket_connect_timeout=COMMAND_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise CliError(f"REDIS_URL is no address of a Redis: {error}", Exit.USAGE) from error


@asynccontextmanager
async def reached(redis_url: str) -> AsyncIterator[Redis]:
    """Redis while it answers; CliError when it doesn't."""
    redis = connected(redis_url)
    try:
        yield redis
    except (RedisError, OSError, FlagStoreError) as error:
        address = without_password(redis_url)
        message = f"Redis does not answer at {address}: start it with `sluice up`, or set REDIS_URL"
        raise CliError(message, Exit.UNREACHABLE) from error
    finally:
        await redis.aclose()


def plain(error: FlagError, redis_url: str) -> CliError:
    """Say it with an exit code; a store that is out of reach is named, without its password."""
    message = str(error)
    if isinstance(error, FlagStoreError):
        address = without_password(redis_url)
        message = f"{message.rstrip('.')}. Address: {address}; start it with `sluice up`, or set REDIS_URL"
    return CliError(message, CODES.get(type(error), Exit.FAILED))


def percentage_of(text: str) -> float:
    """Read ``25``, ``12.5`` or ``25%``; CliError for anything else."""
    number = text.strip().removesuffix("%").rstrip()
    try:
        return checked_percentage(float(number) if PLAIN_NUMBER.fullmatch(number) else text)
    except InvalidFlagError as error:
        raise CliError(str(error), Exit.USAGE) from error
