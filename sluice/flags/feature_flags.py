"""`FeatureFlags`: the guide's flag API, over a store that refuses unsafe writes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.flags import desired_state, mutations
from sluice.flags.bucketing import SLUICE, validate_hash_version
from sluice.flags.desired_state import DesiredState
from sluice.flags.document import FlagDocument, FlagState, LatchAuthor, OnStale
from sluice.flags.errors import InvalidFlagError
from sluice.flags.evaluation import Evaluation
from sluice.flags.keys import FlagKeys
from sluice.flags.mutations import Mutation
from sluice.flags.signatures import adoption
from sluice.flags.store import FlagStore
from sluice.flags.validation import (
    validate_bool,
    validate_description,
    validate_name,
    validate_percentage,
    validate_phases,
    validate_users,
)
from sluice.flags.view import FlagView
from sluice.flags.write_metadata import AuditEntry, WriteMetadata, validate_run_id
from sluice.flags.writing.write_queue import WriteQueue, WriteRequest

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from sluice.flags.signatures.signer import FlagSigner


class FeatureFlags:
    """Changes flags in the store, and evaluates them in memory through a reader.

    Every method but `evaluate` raises only `FlagError`s. Writes are absolute values, so repeating
    one is safe. Without a reader every evaluation is off with reason STALE. In place of a Redis
    client any `FlagStore` will do, such as `MemoryFlagStore`. `signer` signs what is written.
    """

    def __init__(
        self,
        redis: Redis | FlagStore,
        *,
        environment: str = "default",
        reader: FlagView | None = None,
        signer: FlagSigner | None = None,
    ) -> None:
        self._signer = signer
        self._store = _as_store(redis, FlagKeys(environment))
        self._queue = WriteQueue(self._store, signer)
        self._view = reader or FlagView()
        # The bound method itself: a second call would cost a tenth of the evaluation.
        self.evaluate: Callable[[str, str], Evaluation] = self._view.evaluate

    @property
    def reader(self) -> FlagView:
        """The view that `evaluate` answers from."""
        return self._view

    async def create_flag(  # noqa: PLR0913 - the guide's signature, and what a flag is
        self,
        name: str,
        description: str = "",
        default_enabled: bool = False,
        rollout_percentage: float = 0,
        *,
        on_stale: OnStale = "off",
        hash_version: int = SLUICE,
        metadata: WriteMetadata | None = None,
    ) -> FlagState:
        """Create a flag. The same definition again returns it; another raises FlagExistsError."""
        if on_stale not in {"off", "hold"}:
            raise InvalidFlagError(f"on_stale {on_stale!r}: give 'off' or 'hold'")
        flag = FlagState(
            name=validate_name(name),
            description=validate_description(description),
            default_enabled=validate_bool("default_enabled", default_enabled),
            rollout_percentage=validate_percentage(rollout_percentage),
            on_stale=on_stale,
            hash_version=validate_hash_version(hash_version),
        )
        return await self._write_flag(name, mutations.create(flag), metadata)

    async def get_flag(self, name: str) -> FlagState:
        """Read one flag from the store; raise UnknownFlagError when it does not exist."""
        return mutations.require_flag(await self.document(), validate_name(name))

    async def list_flags(self) -> list[FlagState]:
        """Read all flags from the store, by name."""
        flags = (await self.document()).flags
        return [flags[name] for name in sorted(flags)]

    async def document(self) -> FlagDocument:
        """Read everything from the store's primary.

        After the store lost writes, this is the rest, marked as not confirmed.
        """
        return mutations.base_document(await self._store.read())

    async def set_rollout_percentage(
        self, name: str, percentage: float, *, metadata: WriteMetadata | None = None
    ) -> FlagState:
        """Set the share of users treated, 0 to 100 with at most two decimals."""
        changes = {"rollout_percentage": validate_percentage(percentage), "confirmed": True}
        return await self._edit(name, "percentage", lambda _flag: changes, metadata)

    async def add_to_whitelist(
        self, name: str, user_id: str, *, metadata: WriteMetadata | None = None
    ) -> FlagState:
        """Treat the user whatever the percentage (the kill latch and the blacklist still win)."""
        return await self._edit_users(name, "whitelist", add=[user_id], metadata=metadata)

    async def remove_from_whitelist(
        self, name: str, user_id: str, *, metadata: WriteMetadata | None = None
    ) -> FlagState:
        """Let the percentage decide for the user again."""
        return await self._edit_users(name, "whitelist", remove=[user_id], metadata=metadata)

    async def add_to_blacklist(
        self, name: str, user_id: str, *, metadata: WriteMetadata | None = None
    ) -> FlagState:
        """Never treat the user."""
        return await self._edit_users(name, "blacklist", add=[user_id], metadata=metadata)

    async def remove_from_blacklist(
        self, name: str, user_id: str, *, metadata: WriteMetadata | None = None
    ) -> FlagState:
        """Let whitelist and percentage decide for the user again."""
        return await self._edit_users(name, "blacklist", remove=[user_id], metadata=metadata)

    async def edit_whitelist(
        self,
        name: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        metadata: WriteMetadata | None = None,
    ) -> FlagState:
        """Add and remove several users in one step."""
        return await self._edit_users(name, "whitelist", add=add, remove=remove, metadata=metadata)

    async def set_whitelist(
        self, name: str, users: Iterable[str], *, metadata: WriteMetadata | None = None
    ) -> FlagState:
        """Replace the whole whitelist in one step."""
        changes = {"whitelist": validate_users(users)}
        return await self._edit(name, "whitelist", lambda _flag: changes, metadata)

    async def delete_flag(self, name: str, *, metadata: WriteMetadata | None = None) -> None:
        """Delete the flag: it evaluates to off everywhere. Refused while it is killed."""
        await self._write(mutations.delete(validate_name(name)), metadata)

    async def kill(
        self,
        name: str,
        *,
        metadata: WriteMetadata | None = None,
        author: LatchAuthor = "person",
    ) -> FlagState:
        """Turn the flag off for everybody, and refuse every raise until `unkill`.

        A flag that its rollout deleted is killed too, and a stored document that cannot be read
        is replaced. The watch of a rollout kills as the `author` "rollout": a retry of the rollout
        clears that latch, but never one that a person has set before or since.
        """
        mutation = desired_state.kill(validate_name(name), author)
        replacement = desired_state.kill(name, author, must_exist=False)
        return (await self._write(mutation, metadata, replacement)).flags[name]

    async def apply(
        self, desired: DesiredState, *, metadata: WriteMetadata | None = None
    ) -> FlagDocument:
        """Give a flag and the router's phases the desired state, in one read and one commit.

        Raises UnknownFlagError, KilledError, FencedError or PhasesTakenError; a rollback is not
        refused by a fence, nor by a stored document that cannot be read.
        """
        mutation = desired_state.apply(desired.validated())
        return await self._write(mutation, metadata, mutation if desired.is_rollback else None)

    async def sign(self, name: str, *, metadata: WriteMetadata | None = None) -> FlagState:
        """Sign a flag and the phases as they are stored; needs a `signer`."""
        if self._signer is None:
            raise InvalidFlagError("no key signs: set SLUICE_FLAGS_SIGNING_KEY")
        return await self._write_flag(name, adoption.sign(validate_name(name)), metadata)

    async def unkill(self, name: str, *, metadata: WriteMetadata | None = None) -> FlagState:
        """Clear the kill latch. The percentage stays 0 until it is set; the whitelist counts again."""
        changes = {"killed": False, "killed_by": None, "confirmed": True}
        return await self._edit(name, "unkill", lambda _flag: changes, metadata)

    async def claim(
        self, name: str, run_id: str, metadata: WriteMetadata | None = None
    ) -> FlagState:
        """Make the run the flag's only fenced writer; raise FencedError if it lost it before."""
        mutation = mutations.claim(validate_name(name), validate_run_id(run_id))
        return await self._write_flag(name, mutation, metadata)

    async def set_phases(
        self, phases: Mapping[str, bool], *, metadata: WriteMetadata | None = None
    ) -> FlagDocument:
        """Switch `enable_feature_flags` and `enable_online_learning`; one left out stays."""
        return await self._write(mutations.set_phases(validate_phases(phases)), metadata)

    async def history(self, name: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Return who changed the flag (or anything), newest first; survives deletion."""
        flag = None if name is None else validate_name(name)
        return await self._store.history(flag, limit)

    async def get_stats(self) -> dict[str, Any]:
        """Return the guide's figures; `cache_size` counts the flags this process holds."""
        flags = await self.list_flags()
        full = [flag for flag in flags if flag.rollout_percentage == FULL_PERCENTAGE]
        partly = [flag for flag in flags if 0 < flag.rollout_percentage < FULL_PERCENTAGE]
        return {
            "total_flags": len(flags),
            "rolling_out": len(partly),
            "fully_rolled_out": len(full),
            "killed": sum(flag.killed for flag in flags),
            "cache_size": len(self._view.snapshot().flags),
            "version": self._view.snapshot().version,
            "stale": self._view.stale,
            "evaluations": self._view.evaluations(),
        }

    async def _edit(
        self, name: str, action: str, changes: mutations.FieldEdit, metadata: WriteMetadata | None
    ) -> FlagState:
        mutation = mutations.edit(validate_name(name), action, changes)
        return await self._write_flag(name, mutation, metadata)

    async def _edit_users(
        self,
        name: str,
        field: Literal["whitelist", "blacklist"],
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        metadata: WriteMetadata | None,
    ) -> FlagState:
        added, removed = validate_users(add), validate_users(remove)

        def changes(flag: FlagState) -> dict[str, object]:
            users: frozenset[str] = getattr(flag, field)
            return {field: validate_users((users | added) - removed)}

        return await self._edit(name, field, changes, metadata)

    async def _write_flag(
        self, name: str, mutation: Mutation, metadata: WriteMetadata | None
    ) -> FlagState:
        return (await self._write(mutation, metadata)).flags[name]

    async def _write(
        self,
        mutation: Mutation,
        metadata: WriteMetadata | None,
        replacement: Mutation | None = None,
    ) -> FlagDocument:
        """Write `mutation`; over a document that cannot be read, `replacement` when there is one."""
        return await self._queue.write(WriteRequest(mutation, metadata, replacement))


def _as_store(client: Redis | FlagStore, keys: FlagKeys) -> FlagStore:
    """Return the store behind `client`; a process without a Redis client never loads the driver."""
    driver = sys.modules.get("redis.asyncio")
    if driver is None or not isinstance(client, driver.Redis):
        return client  # type: ignore[return-value]  # no client
    from sluice.flags.redis.store import RedisFlagStore  # noqa: PLC0415 - it loads the driver

    return RedisFlagStore(client, keys)
