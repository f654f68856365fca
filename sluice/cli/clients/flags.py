"""Client of the flag store: errors with exit codes, and the propagation of a write."""

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
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import without_password
from sluice.flags import (
    FeatureFlags,
    FlagError,
    FlagState,
    FlagStoreError,
    InvalidFlagError,
    UnknownFlagError,
)
from sluice.flags.redis.process_client import process_client
from sluice.flags.redis.process_polling import ProcessPoll, poll_processes, verify
from sluice.flags.redis.process_registry import list_processes
from sluice.flags.redis.urls import connect
from sluice.flags.signatures import FlagSigner, load_public_keys, load_signing_key
from sluice.flags.validation import validate_percentage

REDIS_TIMEOUT_SECONDS = 2.5
PROPAGATION_SECONDS_MAX = 1.5
"""Longer than any process's lease. Each process has then read the write, or treats no user."""
POLL_SECONDS = 0.05
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")
EXIT_CODES = {
    FlagStoreError: Exit.UNREACHABLE,
    InvalidFlagError: Exit.USAGE,
    UnknownFlagError: Exit.NOT_FOUND,
}


@dataclass(frozen=True)
class FlagClient:
    """Client of the flags of one environment and of the processes that serve them."""

    flags: FeatureFlags
    redis: Redis
    environment: str

    async def poll_processes(self) -> list[ProcessPoll]:
        """Fetch from every live router process the state that it serves."""
        processes = await list_processes(self.redis, self.environment)
        return await poll_processes(processes.live)

    async def wait_until_propagated(self, flag: FlagState) -> "PropagationReport":
        """Poll the processes until all serve the write, for at most OBEYED_SECONDS_MAX. Never raises."""
        began = time.monotonic()
        while True:
            try:
                views = await self.poll_processes()
            except FlagStoreError as error:
                return PropagationReport(failure=str(error))
            seconds = time.monotonic() - began
            result = _propagation_report(views, flag, seconds)
            if (result.is_complete and result.is_certain) or seconds > PROPAGATION_SECONDS_MAX:
                return result
            await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class PropagationReport:
    """The processes that serve a write ``seconds`` after its acknowledgement."""

    confirmed: Sequence[str] = ()
    lease_expired: Sequence[str] = ()
    unconfirmed: Sequence[str] = ()
    live: int = 0
    seconds: float = 0.0
    errors: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    """The reason that no process could be polled after an acknowledged write."""

    @property
    def is_certain(self) -> bool:
        """Return True when no process can serve more than was written."""
        return not self.unconfirmed and not self.failure

    @property
    def is_complete(self) -> bool:
        """Return True when no process is left to wait for."""
        return len(self.confirmed) + len(self.lease_expired) == self.live

    def summary(self) -> str:
        """Return the report as one line for people."""
        if self.failure:
            return f"written; the processes that serve it are not known: {self.failure}"
        if not self.live:
            return "no process is alive to serve it"
        text = f"{len(self.confirmed)} of {self.live} processes have it ({self.seconds:.2f} s)"
        if self.lease_expired:
            text += f"; silent, so off by their lease: {', '.join(self.lease_expired)}"
        if self.unconfirmed:
            text += f"; NOT CONFIRMED: {', '.join(self.unconfirmed)}"
        return text

    def document(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return {
            "live": self.live,
            "confirmed": list(self.confirmed),
            "lease_expired": list(self.lease_expired),
            "unconfirmed": list(self.unconfirmed),
            "errors": dict(self.errors) | ({"store": self.failure} if self.failure else {}),
            "seconds": round(self.seconds, 3),
        }


def _propagation_report(
    views: Sequence[ProcessPoll], permitted_flag: FlagState, seconds: float
) -> PropagationReport:
    verification = verify(views, permitted_flag, acknowledged_seconds_ago=seconds)
    have_it = [
        v.process.id for v in views if v.response and v.response.version >= permitted_flag.version
    ]
    return PropagationReport(
        confirmed=have_it,
        lease_expired=tuple(verification.by_lease),
        unconfirmed=(*verification.disobeying, *verification.not_verified),
        live=len(views),
        seconds=seconds,
        errors={view.process.id: view.error for view in views if view.error},
    )


def open_process_client(context: Context) -> httpx.AsyncClient:
    """Return the client for addresses of the registry. Raises CliError for unusable networks."""
    try:
        return process_client(context.environment)
    except InvalidFlagError as error:
        raise CliError(str(error), Exit.USAGE) from error


@asynccontextmanager
async def flag_client(context: Context) -> AsyncIterator[FlagClient]:
    """Connect to the flags. A ``FlagError`` inside becomes a CliError with its exit code."""
    redis = connect_redis(context.redis_url)
    name = context.environment_name
    try:
        signer = _signer_of(context)
        yield FlagClient(FeatureFlags(redis, environment=name, signer=signer), redis, name)
    except FlagError as error:
        raise to_cli_error(error, context.redis_url) from error
    finally:
        await redis.aclose()


def _signer_of(context: Context) -> FlagSigner | None:
    key = load_signing_key(context.environment)
    if key is None:
        return None
    return FlagSigner(key, context.environment_name, load_public_keys(context.environment))


def connect_redis(redis_url: str) -> Redis:
    """Build a client with short timeouts, for a command that a person waits for."""
    try:
        return connect(
            redis_url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise CliError(
            f"REDIS_URL is not a valid Redis URL, such as redis://host:6379/0: {error}", Exit.USAGE
        ) from error


@asynccontextmanager
async def redis_connection(redis_url: str) -> AsyncIterator[Redis]:
    """Yield a Redis client; turn an unreachable Redis into a CliError."""
    redis = connect_redis(redis_url)
    try:
        yield redis
    except (RedisError, OSError, FlagStoreError) as error:
        address = without_password(redis_url)
        message = f"Redis does not answer at {address}: start it with `sluice up`, or set REDIS_URL"
        raise CliError(message, Exit.UNREACHABLE) from error
    finally:
        await redis.aclose()


def to_cli_error(error: FlagError, redis_url: str) -> CliError:
    """Return the error with its exit code. For an unreachable store it names the address without password."""
    message = str(error)
    if isinstance(error.__cause__, AuthenticationError):
        address = without_password(redis_url)
        message = (
            f"Redis at {address} refuses the password, or the lack of one; "
            "set REDIS_URL=redis://USER:PASSWORD@HOST:PORT/0"
        )
    elif isinstance(error.__cause__, NoPermissionError):
        address = without_password(redis_url)
        message = (
            f"{message.rstrip('.')}. {address} answers, but its user lacks the right: nothing has "
            "changed, and processes with their own users serve on. Set REDIS_URL with a user that has "
            "a writer's rights (docs/flags.md)"
        )
    elif isinstance(error.__cause__, ResponseError):
        address = without_password(redis_url)
        message = (
            f"{message.rstrip('.')}. {address} answers, but refuses this. While it takes no "
            "writes, processes that follow it serve what they serve when stale: nobody is treated unless "
            "on_stale is hold. Repair it, or set REDIS_URL to the primary"
        )
    elif isinstance(error, FlagStoreError):
        address = without_password(redis_url)
        message = (
            f"{message.rstrip('.')}. Address: {address}; start it with `sluice up`, or set REDIS_URL. "
            "Processes that do not reach it either treat nobody after their lease, unless on_stale is hold"
        )
    return CliError(message, EXIT_CODES.get(type(error), Exit.FAILED))


def parse_percentage(text: str) -> float:
    """Read ``25``, ``12.5`` or ``25%``; raise CliError for anything else."""
    number = text.strip().removesuffix("%").rstrip()
    try:
        return validate_percentage(float(number) if PLAIN_NUMBER.fullmatch(number) else text)
    except InvalidFlagError as error:
        raise CliError(str(error), Exit.USAGE) from error
