"""Signed ids of answered queries.

An id carries the cohort, the time and the user's tags, so feedback needs no store to find them. Its
HMAC covers them and the tenant, so feedback with any other id is refused before it is counted:

``{c|t}-{UUID version 7}-{user tag}[-{epoch}.{slot}.{lasting slot}]-{HMAC-SHA256, 128 bits}``

All router processes of an environment share the key: SLUICE_QUERY_ID_KEY, or one in Redis.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
import uuid
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from router.answer import Cohort
from router.errors import UnknownQueryId
from sluice.flags.service.counted_user import CountedUser

KEY_BYTES = 32
KEYS_MAX = 3
"""The signing key and the replaced ones, which still verify ids."""
RETRY_SECONDS = 1.0
RELOAD_SECONDS = 30.0
CLOCK_SKEW_SECONDS = 60.0
"""Largest lead of another process's clock."""
_COHORTS: dict[str, Cohort] = {"c": "control", "t": "treatment"}
_QUERY_ID = re.compile(
    r"(?P<signed>(?P<cohort>[ct])-(?P<milliseconds>[0-9a-f]{12})7[0-9a-f]{3}[89ab][0-9a-f]{15}"
    r"-(?P<user>[0-9a-f]{12})(?:-(?P<counted>[0-9a-f]{1,16}\.[0-9a-f]{1,8}\.[0-9a-f]{1,8}))?)"
    r"-(?P<mac>[0-9a-f]{32})"
)
_VERSION, _RANDOM = 7 << 76, (1 << 80) - 1 - (0xF << 76)
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QueryId:
    """A verified query id. ``user`` is a tag that does not reveal the user."""

    text: str
    cohort: Cohort
    issued_at: float
    user: str
    counted_user: CountedUser | None

    def age_seconds(self) -> float:
        """Return the seconds since it was issued; negative if this machine's clock is behind."""
        return time.time() - self.issued_at


class QueryIdSigner:
    """Issuer and verifier of one environment's query ids."""

    def __init__(self, key: bytes | None = None) -> None:
        """Sign with ``key``, or with a random key until ``share_key`` finds the common one."""
        self._keys: tuple[bytes, ...] = (key or secrets.token_bytes(KEY_BYTES),)
        self._is_fixed = key is not None

    def issue(
        self, tenant: str, cohort: Cohort, user_id: str | None, counted_user: CountedUser | None
    ) -> str:
        """Return a new id; a query without a user gets a user tag of its own."""
        random = uuid.uuid4().int & _RANDOM
        number = uuid.UUID(int=time.time_ns() // 1_000_000 << 80 | _VERSION | random)
        user = self._user_tag(tenant, user_id) if user_id else secrets.token_hex(6)
        counted = f"-{counted_user.token}" if counted_user else ""
        signed = f"{cohort[0]}-{number.hex}-{user}{counted}"
        return f"{signed}-{_mac(self._keys[0], tenant, signed)}"

    def verify(self, text: str, tenant: str, age_max_seconds: float) -> QueryId:
        """Parse an id that was issued to ``tenant`` within ``age_max_seconds``.

        Raises:
            UnknownQueryId: any other id.
        """
        match = _QUERY_ID.fullmatch(text)
        if match and self._is_signed(match["mac"], tenant, match["signed"]):
            counted = CountedUser.parse(match["counted"]) if match["counted"] else None
            issued_at = int(match["milliseconds"], 16) / 1000
            cohort = _COHORTS[match["cohort"]]
            query_id = QueryId(text, cohort, issued_at, match["user"], counted)
            if -CLOCK_SKEW_SECONDS <= query_id.age_seconds() < age_max_seconds:
                return query_id
        raise UnknownQueryId(
            f"query_id {text!r} was not issued to this tenant, or too long ago for feedback: "
            "send the query_id of an answer"
        )

    async def share_key(self, redis: Redis, environment: str) -> None:
        """Adopt the environment's key in Redis, or store this one there.

        Raises:
            RedisError: Redis failed; the present keys stay.
        """
        name = f"sluice:{environment}:query_id_key"
        await redis.set(name, self._keys[0], nx=True)
        stored = await redis.get(name)
        key = stored.encode() if isinstance(stored, str) else stored
        if key and key != self._keys[0]:
            self._keys = (key, *self._keys)[:KEYS_MAX]

    async def run(self, redis: Redis, environment: str) -> None:
        """Keep the shared key current until cancelled."""
        while not self._is_fixed:
            try:
                await self.share_key(redis, environment)
                await asyncio.sleep(RELOAD_SECONDS)
            except (RedisError, OSError) as error:
                logger.warning("query_id_key_not_read", reason=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _user_tag(self, tenant: str, user_id: str) -> str:
        return _mac(self._keys[0], tenant, f"user {user_id}")[:12]

    def _is_signed(self, mac: str, tenant: str, signed: str) -> bool:
        return any(hmac.compare_digest(_mac(key, tenant, signed), mac) for key in self._keys)


def _mac(key: bytes, tenant: str, content: str) -> str:
    message = f"{tenant}\0{content}".encode(errors="surrogatepass")
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]
