"""Every change of the flag document, as pure functions. The stores only make them atomic.

A mutation takes the document as it was read and returns an `Effect`, or raises the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from router.flags import fencing
from router.flags.change import Change
from router.flags.errors import (
    FlagExistsError,
    InvalidFlagError,
    KilledError,
    UnknownFlagError,
)
from router.flags.model import FlagDocument, FlagState
from router.flags.store import Stored, Write
from router.flags.trust import distrusted, trusted
from router.flags.validation import FLAGS_MAX

RETIRED_MAX = 1_000


@dataclass(frozen=True)
class Effect:
    """A changed document and the line of the audit trail that belongs to it."""

    document: FlagDocument
    flag: str
    action: str
    before: object
    after: object


Mutation = Callable[[FlagDocument, Change], Effect]
Edit = Callable[[FlagState], Mapping[str, object]]


def prepared(stored: Stored, mutation: Mutation, change: Change) -> Write | None:
    """Return the write that applies `mutation` to what was read; None if none is needed.

    Setting what is set already is a write: it must outrank anything a reader has seen.
    """
    before = recovered(stored)
    effect = mutation(before, change)
    if effect.document is before:
        return None
    return Write(
        read=stored,
        document=_stamped(effect, stored, before),
        flag=effect.flag,
        action=effect.action,
        before=effect.before,
        after=effect.after,
        change=change,
    )


def _stamped(effect: Effect, stored: Stored, before: FlagDocument) -> FlagDocument:
    """Give the document its version, and what was asserted the server run it was asserted on."""
    version, run_id = next_version(stored), stored.server.run_id
    stamps: dict[str, object] = {"version": version}
    if not effect.flag:
        stamps["phases_asserted_on"] = run_id
    elif flag := effect.document.flags.get(effect.flag):
        asserted: dict[str, object] = {"asserted_on": run_id} if flag.confirmed else {}
        if begins_epoch(before.flags.get(flag.name), flag):
            asserted["epoch"] = version
        flag = flag.model_copy(update={"version": version, **asserted})
        stamps["flags"] = {**effect.document.flags, flag.name: flag}
    return effect.document.model_copy(update=stamps)


def next_version(stored: Stored) -> int:
    """Return a version above everything that was ever served, even if the store forgot it.

    Versions are Unix milliseconds of the store's clock where that is larger than the last one
    plus one: so a deliberate write to an emptied or restored store outranks what readers hold,
    while the restored document itself, being older, does not.
    """
    return max(stored.version + 1, stored.floor.version + 1, stored.now_ms)


def recovered(stored: Stored) -> FlagDocument:
    """Return the document to build on, with what may have been lost marked as unconfirmed."""
    document = stored.document or FlagDocument()
    if stored.lost_writes:
        return distrusted(document, stored.floor.killed)
    return trusted(document, stored.server)


def create(new: FlagState) -> Mutation:
    """Add a flag; the same definition again is no error and no write."""

    def mutate(document: FlagDocument, change: Change) -> Effect:
        old = document.flags.get(new.name)
        if old is not None and old.confirmed:
            _refuse_different(old, new)
            return Effect(document, new.name, "create", None, None)
        if old is not None and old.killed:
            raise _killed(new.name)
        if old is None and len(document.flags) >= FLAGS_MAX:
            raise InvalidFlagError(f"the environment has {FLAGS_MAX} flags, the most: delete one")
        past = document.retired.get(new.name, new.fence)
        before = old.fence if old else fencing.revived(past, change.fence)
        fence = fencing.advanced(before, f"flag {new.name!r}", change.fence)
        flag = new.model_copy(update={"fence": fence})
        retired = {name: runs for name, runs in document.retired.items() if name != new.name}
        changed = _with_flag(document, flag).model_copy(update={"retired": retired})
        return Effect(changed, new.name, "create", None, _told(flag))

    return mutate


def delete(name: str) -> Mutation:
    """Remove a flag; its past runs stay fenced off. A killed flag must be unkilled first."""

    def mutate(document: FlagDocument, change: Change) -> Effect:
        flag = flag_of(document, name)
        fence = fencing.advanced(flag.fence, f"flag {name!r}", change.fence)
        if flag.killed:
            raise _killed(name)
        flags = {other: state for other, state in document.flags.items() if other != name}
        retired = {**document.retired, name: fencing.retired(fence, change.fence)}
        newest = dict(list(retired.items())[-RETIRED_MAX:])
        changed = document.model_copy(update={"flags": flags, "retired": newest})
        return Effect(changed, name, "delete", _told(flag), None)

    return mutate


def edit(name: str, action: str, changes: Edit) -> Mutation:
    """Change fields of one flag, refusing what would expose users while it is killed."""

    def mutate(document: FlagDocument, change: Change) -> Effect:
        old = flag_of(document, name)
        fence = fencing.advanced(old.fence, f"flag {name!r}", change.fence)
        fields = changes(old)
        new = old.model_copy(update={**fields, "fence": fence})
        if old.killed and new.killed and exposes_more(old, new):
            raise _killed(name)
        before = {field: _plain(getattr(old, field)) for field in fields}
        after = {field: _plain(getattr(new, field)) for field in fields}
        return Effect(_with_flag(document, new), name, action, before, after)

    return mutate


def claim(name: str, run_id: str) -> Mutation:
    """Make `run_id` the one run that may write the flag."""

    def mutate(document: FlagDocument, _change: Change) -> Effect:
        old = flag_of(document, name)
        fence = fencing.claimed(old.fence, f"flag {name!r}", run_id)
        if fence is old.fence:
            return Effect(document, name, "claim", None, None)
        changed = _with_flag(document, old.model_copy(update={"fence": fence}))
        return Effect(changed, name, "claim", old.fence.owner, run_id)

    return mutate


def set_phases(wanted: Mapping[str, bool]) -> Mutation:
    """Switch the router's phases; a run other than the last one takes them over once."""

    def mutate(document: FlagDocument, change: Change) -> Effect:
        state = document.phases_fence
        if change.fence is not None:
            state = fencing.claimed(state, "the phases", change.fence.run_id)
        state = fencing.advanced(state, "the phases", change.fence)
        phases = document.phases.model_copy(update=dict(wanted))
        changed = document.model_copy(update={"phases": phases, "phases_fence": state})
        before, after = document.phases.model_dump(), phases.model_dump()
        return Effect(changed, "", "phases", before, after)

    return mutate


def flag_of(document: FlagDocument, name: str) -> FlagState:
    """Return the flag, or raise UnknownFlagError with the names there are."""
    if flag := document.flags.get(name):
        return flag
    known = ", ".join(sorted(document.flags)[:10]) or "none"
    raise UnknownFlagError(f"no flag {name!r} in this environment (flags: {known})")


def exposes_more(old: FlagState, new: FlagState) -> bool:
    """Whether some user could be treated under `new` who was not under `old`."""
    return (
        new.rollout_percentage > old.rollout_percentage
        or not new.whitelist <= old.whitelist
        or not new.blacklist >= old.blacklist
    )


def begins_epoch(old: FlagState | None, new: FlagState) -> bool:
    """Whether other users are treated than before: what was counted of them begins anew.

    A user who was counted before the change must not be missing after it, nor make two of one.
    """
    return old is None or (old.rollout_percentage, old.hash_version, old.killed) != (
        new.rollout_percentage,
        new.hash_version,
        new.killed,
    )


def _with_flag(document: FlagDocument, flag: FlagState) -> FlagDocument:
    return document.model_copy(update={"flags": {**document.flags, flag.name: flag}})


def _refuse_different(old: FlagState, new: FlagState) -> None:
    same = {
        "fence": old.fence,
        "version": old.version,
        "epoch": old.epoch,
        "asserted_on": old.asserted_on,
    }
    if old != new.model_copy(update=same):
        raise FlagExistsError(
            f"flag {new.name!r} exists already, with other settings; change it with "
            "set_rollout_percentage, or delete it first"
        )


def _killed(name: str) -> KilledError:
    return KilledError(
        f"flag {name!r} is killed: nothing may expose users to it until a person runs "
        f"`sluice flags unkill {name}`"
    )


def _told(flag: FlagState) -> dict[str, object]:
    return flag.model_dump(
        mode="json", exclude={"fence", "version", "epoch", "confirmed", "asserted_on", "name"}
    )


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
