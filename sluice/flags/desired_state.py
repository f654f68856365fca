"""The writes that span a flag and the router's phases: a rollout's `apply`, and a person's `kill`.

Each is one mutation, so the store takes it in one read and one commit. A write that takes the
treatment away (`is_rollback`) is never refused by a fence: it then goes through as a person's
write would, reduced to what lowers the exposure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.flags import fencing
from sluice.flags.document import (
    FenceState,
    FlagDocument,
    FlagState,
    LatchAuthor,
    RouterPhases,
)
from sluice.flags.errors import ExcludedError, FencedError, InvalidFlagError, PhasesTakenError
from sluice.flags.mutations import (
    Mutation,
    MutationResult,
    exposes_more,
    killed_error,
    require_flag,
    retire_flag,
)
from sluice.flags.validation import (
    FLAGS_MAX,
    validate_description,
    validate_name,
    validate_percentage,
    validate_phases,
    validate_users,
)
from sluice.flags.write_metadata import WriteMetadata


@dataclass(frozen=True)
class DesiredState:
    """The state that one write gives a flag and the phases. A field that is None stays as it is.

    A percentage is of all users: a default that treats everybody outside of it is switched off.
    `phases` belong to the flag: a second flag's raising write is refused while one is on.
    """

    flag: str
    percentage: float | None = None
    whitelist: frozenset[str] | None = None
    killed: bool | None = None
    phases: Mapping[str, bool] | None = None
    create: bool = False
    delete: bool = False
    is_rollback: bool = False
    excludes: frozenset[str] = frozenset()
    description: str = ""

    def validated(self) -> DesiredState:
        """Return it with every field in its stored form, or raise InvalidFlagError."""
        return replace(
            self,
            flag=validate_name(self.flag),
            description=validate_description(self.description),
            percentage=None if self.percentage is None else validate_percentage(self.percentage),
            whitelist=None if self.whitelist is None else validate_users(self.whitelist),
            phases=None if self.phases is None else validate_phases(self.phases),
        )


def apply(desired: DesiredState) -> Mutation:
    """Give the flag and the phases the desired state. Doing it twice is doing it once.

    A flag of another run is taken over, unless the run has lost the flag before.
    """

    def mutate(document: FlagDocument, change: WriteMetadata) -> MutationResult:
        try:
            return _apply(document, desired, change)
        except FencedError:
            if not desired.is_rollback:
                raise
        return _apply(document, _without_raises(document, desired), replace(change, fence=None))

    return mutate


def kill(name: str, author: LatchAuthor, *, must_exist: bool = True) -> Mutation:
    """Set the kill latch, also of a flag that a rollout deleted to make its treatment permanent.

    The phases that treat everybody without a flag go back behind the flag: a kill beats permanence.
    The latch is a person's once a person has killed, in whatever order the rollout kills too.
    """

    def mutate(document: FlagDocument, change: WriteMetadata) -> MutationResult:
        old = document.flags.get(name)
        if old is None and must_exist and not _served_before(document, name):
            require_flag(document, name)
        base = old or FlagState(name=name, fence=document.retired.get(name, FenceState()))
        fence = fencing.advance(base.fence, f"flag {name!r}", change.fence)
        off = {"rollout_percentage": 0.0, "confirmed": True, "fence": fence, **base.latch(author)}
        changed = _behind_flag(_with_flag(document, base.model_copy(update=off)), name)
        return _result(document, changed, name, "kill")

    return mutate


def _apply(document: FlagDocument, desired: DesiredState, change: WriteMetadata) -> MutationResult:
    _require_alone(document, desired)
    changed = _with_phases(document, desired, change)
    old = document.flags.get(desired.flag)
    if old is not None and desired.delete:
        fence = _claim(old.fence, desired.flag, change)
        changed = retire_flag(changed, old.model_copy(update={"fence": fence}), change)
    elif old is not None or desired.create:
        changed = _with_flag(changed, _changed_flag(document, desired, change))
    elif desired.percentage or desired.whitelist:
        require_flag(document, desired.flag)
    action = "rollback" if desired.is_rollback else "step"
    return _result(document, changed, desired.flag, action)


def _require_alone(document: FlagDocument, desired: DesiredState) -> None:
    """Refuse to treat anybody while an excluded flag treats a part of the users.

    All flags of an environment are one document, so of two writes at once only the first succeeds.
    """
    if desired.is_rollback or not desired.percentage:
        return
    for name in sorted(desired.excludes & set(document.flags)):
        excluded_flag = document.flags[name]
        if not excluded_flag.killed and 0 < excluded_flag.rollout_percentage < FULL_PERCENTAGE:
            raise ExcludedError(
                f"flag {desired.flag!r} excludes {name!r}, which is at {excluded_flag.rollout_percentage:g} %"
            )


def _changed_flag(
    document: FlagDocument, desired: DesiredState, change: WriteMetadata
) -> FlagState:
    base = document.flags.get(desired.flag) or _new_flag(document, desired, change)
    fields: dict[str, object] = {"fence": _claim(base.fence, desired.flag, change)}
    if desired.killed is False:
        fields |= _without_latch(base)
    if desired.killed:
        fields |= {**base.latch("rollout"), "confirmed": True, "rollout_percentage": 0.0}
    elif desired.percentage is not None:
        fields |= {"rollout_percentage": desired.percentage, "confirmed": True}
    if "rollout_percentage" in fields:
        fields["default_enabled"] = False
    if desired.whitelist is not None:
        fields["whitelist"] = desired.whitelist
    new = base.model_copy(update=fields)
    _require_true_repeat(base, new, change)
    return _respect_kill(base, new, desired)


def _without_latch(flag: FlagState) -> dict[str, object]:
    if flag.is_killed_by_person:
        raise killed_error(flag.name)
    return {"killed": False, "killed_by": None, "confirmed": True}


def _require_true_repeat(base: FlagState, new: FlagState, change: WriteMetadata) -> None:
    """Refuse a write that has the number of the last one, but exposes users whom that did not.

    It comes from a workflow that was reset to before the last write.
    """
    fence = change.fence
    is_repeat = fence is not None and (fence.run_id, fence.sequence) == (
        base.fence.owner,
        base.fence.sequence,
    )
    if is_repeat and exposes_more(base, new):
        raise FencedError(
            f"flag {base.name!r}: write {base.fence.sequence} of its rollout was applied already, "
            "and exposed fewer users: the rollout's workflow was reset"
        )


def _respect_kill(base: FlagState, new: FlagState, desired: DesiredState) -> FlagState:
    """Leave out what exposes users of a killed flag; refuse it unless the write is a rollback."""
    if not (base.killed and new.killed and exposes_more(base, new)):
        return new
    if not desired.is_rollback:
        raise killed_error(base.name)
    lowest = min(base.rollout_percentage, new.rollout_percentage)
    return new.model_copy(
        update={"rollout_percentage": lowest, "whitelist": base.whitelist & new.whitelist}
    )


def _new_flag(document: FlagDocument, desired: DesiredState, change: WriteMetadata) -> FlagState:
    if len(document.flags) >= FLAGS_MAX and not desired.is_rollback:
        raise InvalidFlagError(f"the environment has {FLAGS_MAX} flags, the most: delete one")
    past = document.retired.get(desired.flag, FenceState())
    fence = fencing.revive(past, change.fence)
    return FlagState(name=desired.flag, description=desired.description, fence=fence)


def _claim(state: FenceState, name: str, change: WriteMetadata) -> FenceState:
    subject = f"flag {name!r}"
    if change.fence is not None:
        state = fencing.claim(state, subject, change.fence.run_id)
    return fencing.advance(state, subject, change.fence)


def _with_phases(
    document: FlagDocument, desired: DesiredState, change: WriteMetadata
) -> FlagDocument:
    if desired.phases is None:
        return document
    owner, present = document.phases_flag, document.phases
    if owner not in ("", desired.flag) and present != RouterPhases():
        if desired.is_rollback:
            return document
        raise PhasesTakenError(
            f"the router's phases belong to flag {owner!r}: end its rollout, then switch them off "
            "with `sluice flags phases --off`"
        )
    fence = document.phases_fence
    if change.fence is not None:
        fence = fencing.claim(fence, "the phases", change.fence.run_id)
    fence = fencing.advance(fence, "the phases", change.fence)
    phases = present.model_copy(update=dict(desired.phases))
    return document.model_copy(
        update={"phases": phases, "phases_flag": desired.flag, "phases_fence": fence}
    )


def _without_raises(document: FlagDocument, desired: DesiredState) -> DesiredState:
    """Return the desired state without anything that could expose a user who is not exposed now."""
    old = document.flags.get(desired.flag) or FlagState(name=desired.flag)
    lowest = None
    if desired.percentage is not None:
        lowest = min(desired.percentage, old.rollout_percentage)
    phases = desired.phases
    if phases is not None and _phases_expose(document.phases, phases):
        phases = None
    return replace(
        desired,
        percentage=lowest,
        whitelist=None if desired.whitelist is None else desired.whitelist & old.whitelist,
        killed=True if desired.killed else None,
        phases=phases,
        delete=False,
    )


def _phases_expose(present: RouterPhases, desired_phases: Mapping[str, bool]) -> bool:
    after = present.model_copy(update=dict(desired_phases))
    learns = after.enable_online_learning and not present.enable_online_learning
    return learns or (after.treats_everyone and not present.treats_everyone)


def _behind_flag(document: FlagDocument, name: str) -> FlagDocument:
    if not document.phases.treats_everyone or document.phases_flag not in ("", name):
        return document
    phases = document.phases.model_copy(update={"enable_feature_flags": True})
    fence = fencing.advance(document.phases_fence, "the phases", None)
    return document.model_copy(update={"phases": phases, "phases_fence": fence})


def _served_before(document: FlagDocument, name: str) -> bool:
    return name in document.retired or document.phases_flag == name


def _with_flag(document: FlagDocument, flag: FlagState) -> FlagDocument:
    retired = {name: fence for name, fence in document.retired.items() if name != flag.name}
    return document.model_copy(
        update={"flags": {**document.flags, flag.name: flag}, "retired": retired}
    )


def _result(
    document: FlagDocument, changed: FlagDocument, name: str, action: str
) -> MutationResult:
    before, after = _summary(document, name), _summary(changed, name)
    fields = [key for key in before | after if before.get(key) != after.get(key)]
    return MutationResult(
        changed,
        name,
        action,
        {key: before.get(key) for key in fields},
        {key: after.get(key) for key in fields},
        asserts_phases=changed.phases_fence != document.phases_fence,
        is_reduction=action in ("rollback", "kill"),
    )


def _summary(document: FlagDocument, name: str) -> dict[str, object]:
    """Return what the audit trail records of the flag and the phases, as JSON values."""
    phases: dict[str, object] = {"phases": document.phases.model_dump()}
    if (flag := document.flags.get(name)) is None:
        return phases
    fields = {"rollout_percentage", "whitelist", "killed", "killed_by", "default_enabled"}
    return phases | flag.model_dump(mode="json", include=fields)
