"""Every change of the flag document, as pure functions. The stores only make them atomic.

A mutation takes the document as read and returns a `MutationResult`, or raises a `FlagError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sluice.flags import fencing
from sluice.flags.document import FlagDocument, FlagState, RouterPhases, require_fitting_size
from sluice.flags.durability import mark_doubtful, mark_unconfirmed
from sluice.flags.errors import (
    FlagExistsError,
    FlagStoreError,
    InvalidFlagError,
    KilledError,
    UnknownFlagError,
)
from sluice.flags.signatures.signer import FlagSigner, signed_write
from sluice.flags.store import DocumentWrite, StoredState
from sluice.flags.validation import FLAGS_MAX
from sluice.flags.write_metadata import WriteMetadata

RETIRED_MAX = 1_000


@dataclass(frozen=True)
class MutationResult:
    """A changed document and the line of the audit trail that belongs to it."""

    document: FlagDocument
    flag: str
    action: str
    before: object
    after: object
    asserts_phases: bool = False
    is_reduction: bool = False
    adopts: bool = False
    """True when the stored flag is to be signed as it is, also if nobody has signed it."""


Mutation = Callable[[FlagDocument, WriteMetadata], MutationResult]
FieldEdit = Callable[[FlagState], Mapping[str, object]]


def plan_write(
    stored: StoredState,
    mutation: Mutation,
    metadata: WriteMetadata,
    *,
    replaces_unreadable: bool = False,
    signer: FlagSigner | None = None,
) -> DocumentWrite | None:
    """Return the write that applies `mutation` to the stored document; None if it changes nothing.

    Setting a value that is set already is a write: it must outrank every version a reader has seen.
    """
    before = salvaged_document(stored) if replaces_unreadable else base_document(stored)
    result = mutation(before, metadata)
    if result.document is before:
        return None
    if signer is not None and not result.adopts:
        before = signer.trusted_base(before, result.flag)
        result = mutation(before, metadata)
    require_fitting_size(before, result.document, is_reduction=result.is_reduction)
    return DocumentWrite(
        based_on=stored,
        document=signed_write(
            _stamp(result, stored, before),
            result.flag,
            signer,
            has_new_phases=result.asserts_phases or result.document.phases != before.phases,
        ),
        flag=result.flag,
        action=result.action,
        before=result.before,
        after=result.after,
        metadata=metadata,
        is_reduction=result.is_reduction,
    )


def _stamp(result: MutationResult, stored: StoredState, before: FlagDocument) -> FlagDocument:
    """Stamp the document with its version, and the asserted part with the server run."""
    version, run_id = next_version(stored), stored.server_run.run_id
    stamps: dict[str, object] = {"version": version}
    if result.asserts_phases:
        stamps["phases_asserted_on"] = run_id
    if flag := result.document.flags.get(result.flag):
        asserted: dict[str, object] = {"asserted_on": run_id} if flag.confirmed else {}
        if begins_epoch(before.flags.get(flag.name), flag):
            asserted["epoch"] = version
        flag = flag.model_copy(update={"version": version, **asserted})
        stamps["flags"] = {**result.document.flags, flag.name: flag}
    return result.document.model_copy(update=stamps)


def next_version(stored: StoredState) -> int:
    """Return a version above every served one, also above those that the store lost.

    Versions are Unix milliseconds of the store's clock where that is larger than the last one
    plus one: so a deliberate write to an emptied or restored store outranks what readers hold,
    while the restored document itself, being older, does not.
    """
    return max(
        stored.version + 1,
        stored.watermark.version + 1,
        (stored.unreadable_version or 0) + 1,
        stored.now_ms,
    )


def base_document(stored: StoredState) -> FlagDocument:
    """Return the document to build on, its doubtful parts marked as unconfirmed.

    Raises FlagStoreError when the store holds a text that is not a document of ours.
    """
    if problem := stored.unreadable or stored.watermark_problem:
        raise FlagStoreError(problem)
    document = stored.document or FlagDocument()
    if stored.has_lost_writes:
        return mark_unconfirmed(document, stored.watermark.killed)
    return mark_doubtful(document, stored.server_run)


def salvaged_document(stored: StoredState) -> FlagDocument:
    """Return the document that a kill builds on: the parsable part of an unreadable one.

    All of it is unconfirmed, so it is served as stale until somebody asserts it.
    """
    if not stored.unreadable:
        return base_document(replace(stored, watermark_problem=""))
    return mark_unconfirmed(stored.salvaged or FlagDocument(), stored.watermark.killed)


def create(new: FlagState) -> Mutation:
    """Add a flag; the same definition again changes nothing."""

    def mutate(document: FlagDocument, change: WriteMetadata) -> MutationResult:
        old = document.flags.get(new.name)
        if old is not None and old.confirmed:
            _require_same_definition(old, new)
            return MutationResult(document, new.name, "create", None, None)
        if old is not None and old.killed:
            raise killed_error(new.name)
        if old is None and len(document.flags) >= FLAGS_MAX:
            raise InvalidFlagError(f"the environment has {FLAGS_MAX} flags, the most: delete one")
        past = document.retired.get(new.name, new.fence)
        before = old.fence if old else fencing.revive(past, change.fence)
        fence = fencing.advance(before, f"flag {new.name!r}", change.fence)
        flag = new.model_copy(update={"fence": fence})
        retired = {name: runs for name, runs in document.retired.items() if name != new.name}
        changed = _with_flag(document, flag).model_copy(update={"retired": retired})
        return MutationResult(changed, new.name, "create", None, _definition(flag))

    return mutate


def delete(name: str) -> Mutation:
    """Remove a flag; its past runs stay fenced off. A killed flag must be unkilled first."""

    def mutate(document: FlagDocument, change: WriteMetadata) -> MutationResult:
        flag = require_flag(document, name)
        fence = fencing.advance(flag.fence, f"flag {name!r}", change.fence)
        changed = retire_flag(document, flag.model_copy(update={"fence": fence}), change)
        return MutationResult(changed, name, "delete", _definition(flag), None)

    return mutate


def retire_flag(document: FlagDocument, flag: FlagState, change: WriteMetadata) -> FlagDocument:
    """Return the document without the flag, whose runs stay fenced off; refuse a killed one."""
    if flag.killed:
        raise killed_error(flag.name)
    flags = {name: state for name, state in document.flags.items() if name != flag.name}
    retired = {**document.retired, flag.name: fencing.retire(flag.fence, change.fence)}
    newest = dict(list(retired.items())[-RETIRED_MAX:])
    return document.model_copy(update={"flags": flags, "retired": newest})


def edit(name: str, action: str, changes: FieldEdit) -> Mutation:
    """Change fields of one flag; refuse a change that exposes users while it is killed."""

    def mutate(document: FlagDocument, change: WriteMetadata) -> MutationResult:
        old = require_flag(document, name)
        fence = fencing.advance(old.fence, f"flag {name!r}", change.fence)
        fields = changes(old)
        new = old.model_copy(update={**fields, "fence": fence})
        if old.killed and new.killed and exposes_more(old, new):
            raise killed_error(name)
        before = {field: _json_value(getattr(old, field)) for field in fields}
        after = {field: _json_value(getattr(new, field)) for field in fields}
        lowers = not exposes_more(old, new) and (new.killed or not old.killed)
        changed = _with_flag(document, new)
        return MutationResult(changed, name, action, before, after, is_reduction=lowers)

    return mutate


def claim(name: str, run_id: str) -> Mutation:
    """Make `run_id` the one run that may write the flag."""

    def mutate(document: FlagDocument, _change: WriteMetadata) -> MutationResult:
        old = require_flag(document, name)
        fence = fencing.claim(old.fence, f"flag {name!r}", run_id)
        if fence is old.fence:
            return MutationResult(document, name, "claim", None, None)
        changed = _with_flag(document, old.model_copy(update={"fence": fence}))
        return MutationResult(changed, name, "claim", old.fence.owner, run_id)

    return mutate


def set_phases(desired_phases: Mapping[str, bool]) -> Mutation:
    """Switch the router's phases; a run other than the last one takes them over once.

    Phases that are all off belong to no flag.
    """

    def mutate(document: FlagDocument, change: WriteMetadata) -> MutationResult:
        state = document.phases_fence
        if change.fence is not None:
            state = fencing.claim(state, "the phases", change.fence.run_id)
        state = fencing.advance(state, "the phases", change.fence)
        phases = document.phases.model_copy(update=dict(desired_phases))
        update: dict[str, object] = {"phases": phases, "phases_fence": state}
        if phases == RouterPhases():
            update["phases_flag"] = ""
        changed = document.model_copy(update=update)
        before, after = document.phases.model_dump(), phases.model_dump()
        return MutationResult(changed, "", "phases", before, after, asserts_phases=True)

    return mutate


def require_flag(document: FlagDocument, name: str) -> FlagState:
    """Return the flag, or raise UnknownFlagError with the known names."""
    if flag := document.flags.get(name):
        return flag
    flag_names = ", ".join(sorted(document.flags)[:10]) or "none"
    raise UnknownFlagError(f"no flag {name!r} in this environment (flags: {flag_names})")


def exposes_more(old: FlagState, new: FlagState) -> bool:
    """Return True if `new` could treat a user whom `old` does not."""
    return (
        new.rollout_percentage > old.rollout_percentage
        or not new.whitelist <= old.whitelist
        or not new.blacklist >= old.blacklist
    )


def begins_epoch(old: FlagState | None, new: FlagState) -> bool:
    """Return True if the change treats other users: their counts then restart.

    A user counted before the change must neither be missing after it nor count twice.
    """
    return old is None or (old.rollout_percentage, old.hash_version, old.killed) != (
        new.rollout_percentage,
        new.hash_version,
        new.killed,
    )


def _with_flag(document: FlagDocument, flag: FlagState) -> FlagDocument:
    return document.model_copy(update={"flags": {**document.flags, flag.name: flag}})


def _require_same_definition(old: FlagState, new: FlagState) -> None:
    runtime_fields = {
        "fence": old.fence,
        "version": old.version,
        "epoch": old.epoch,
        "asserted_on": old.asserted_on,
    }
    if old != new.model_copy(update=runtime_fields):
        raise FlagExistsError(
            f"flag {new.name!r} exists already, with other settings; change it with "
            "set_rollout_percentage, or delete it first"
        )


def killed_error(name: str) -> KilledError:
    """Return the refusal of a write that would expose users to a killed flag."""
    return KilledError(
        f"flag {name!r} is killed: nothing may expose users to it until a person runs "
        f"`sluice flags unkill {name}`"
    )


def _definition(flag: FlagState) -> dict[str, object]:
    return flag.model_dump(
        mode="json", exclude={"fence", "version", "epoch", "confirmed", "asserted_on", "name"}
    )


def _json_value(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
