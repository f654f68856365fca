"""The queue of a process's writes to one environment: writes that wait are committed together.

An environment has one document. Writers that race repeat each other's work, so two hundred
rollbacks at once would take seconds. Together they take one read, one commit and one push.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from sluice.flags.document import FlagDocument
from sluice.flags.errors import FlagError, FlagStoreError
from sluice.flags.mutations import Mutation, base_document, plan_write
from sluice.flags.signatures.signer import FlagSigner
from sluice.flags.store import DocumentWrite, FlagStore, StoredState
from sluice.flags.write_metadata import UNNAMED, WriteMetadata

ATTEMPTS_MAX = 50
CONFLICT_PAUSE_SECONDS = 0.005
TURN_SECONDS_MAX = 0.5
"""A commit that takes longer delays the next one by no more than this."""


@dataclass(frozen=True)
class WriteRequest:
    """One write. `replacement` is applied in place of `mutation` to a document that cannot be read.

    Only writes that take the treatment away have a replacement. They go before all others.
    """

    mutation: Mutation
    metadata: WriteMetadata | None = None
    replacement: Mutation | None = None

    def plan(self, stored: StoredState, signer: FlagSigner | None) -> DocumentWrite | None:
        """Return the write that carries it out on `stored`; None if it changes nothing."""
        return plan_write(
            stored,
            (stored.unreadable and self.replacement) or self.mutation,
            self.metadata or UNNAMED,
            replaces_unreadable=self.replacement is not None,
            signer=signer,
        )


@dataclass(frozen=True)
class _Entry:
    """A request that waits, and the future of its caller."""

    request: WriteRequest
    result: asyncio.Future[FlagDocument]

    def resolve(self, outcome: FlagDocument | BaseException) -> None:
        if self.result.done():  # its caller was cancelled
            return
        if isinstance(outcome, FlagDocument):
            self.result.set_result(outcome)
        else:
            self.result.set_exception(outcome)


@dataclass
class _Batch:
    """The outcome of each entry on one state of the store, and the writes of one commit."""

    outcomes: list[tuple[_Entry, FlagDocument | FlagError]] = field(default_factory=list)
    writes: list[DocumentWrite] = field(default_factory=list)


class WriteQueue:
    """Commits what waits, lowering writes first. Use one instance in one event loop at a time."""

    def __init__(self, store: FlagStore, signer: FlagSigner | None = None) -> None:
        self._store = store
        self._signer = signer
        self._waiting: list[_Entry] = []
        self._turns: asyncio.Task[None] | None = None
        self._commits: set[asyncio.Task[None]] = set()

    async def write(self, request: WriteRequest) -> FlagDocument:
        """Return the document with the write in it; a refusal concerns this write only.

        Raises:
            FlagError: the write is refused, or the store does not take it.
        """
        entry = _Entry(request, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._turns is None or self._turns.done():
            self._turns = asyncio.create_task(self._take_turns())
        return await entry.result

    async def _take_turns(self) -> None:
        while self._waiting:
            entries = self._take_entries()
            commit = asyncio.create_task(self._commit(entries))
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)
            commit.add_done_callback(partial(_fail_rest, entries))
            await asyncio.wait((commit,), timeout=TURN_SECONDS_MAX)

    def _take_entries(self) -> list[_Entry]:
        """Take the lowering writes, or all: a refused step must not refuse a rollback with it."""
        lowering = [entry for entry in self._waiting if entry.request.replacement is not None]
        raising = [entry for entry in self._waiting if entry.request.replacement is None]
        entries, self._waiting = (lowering, raising) if lowering else (raising, [])
        return entries

    async def _commit(self, entries: Sequence[_Entry]) -> None:
        for attempt in range(ATTEMPTS_MAX):
            batch = self._plan(await self._store.read(), entries)
            if not batch.writes or await self._store.commit(batch.writes):
                for entry, outcome in batch.outcomes:
                    entry.resolve(outcome)
                return
            pause = CONFLICT_PAUSE_SECONDS * min(attempt, 10)
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads racing writers
        raise FlagStoreError(f"{ATTEMPTS_MAX} other writes came first each time: try again")

    def _plan(self, stored: StoredState, entries: Sequence[_Entry]) -> _Batch:
        """Apply the requests one after the other; leave out those whose caller was cancelled."""
        batch = _Batch()
        for entry in entries:
            if entry.result.done():
                continue
            outcome: FlagDocument | FlagError
            try:
                write = entry.request.plan(stored, self._signer)
                outcome = write.document if write else base_document(stored)
            except FlagError as error:
                write, outcome = None, error
            batch.outcomes.append((entry, outcome))
            if write is not None:
                batch.writes.append(write)
                stored = stored.after(write.document)
        return batch


def _fail_rest(entries: Sequence[_Entry], commit: asyncio.Task[None]) -> None:
    """Give the callers that have no outcome the error that ended their commit."""
    if commit.cancelled():
        error: BaseException | None = asyncio.CancelledError()
    else:
        error = commit.exception()
    if error is not None:
        for entry in entries:
            entry.resolve(error)
