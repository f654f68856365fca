"""The flag document: one JSON text in Redis, and the source of every snapshot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from sluice.flags.errors import FlagStoreError, InvalidFlagError

_STORED_FORM = re.compile(r'\{"version":(\d+)[,}]')

DOCUMENT_BYTES_MAX = 1_000_000
"""Every change is pushed whole to every process, and parsed there in 30 ms at this size."""

OnStale = Literal["off", "hold"]
LatchAuthor = Literal["person", "rollout"]
UserIds = Annotated[frozenset[str], PlainSerializer(sorted, return_type=list)]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FenceState(_FrozenModel):
    """The run that may write, and the last sequence number applied.

    `repeatable`: the last number may come again (a retry of the same command). A write by anyone
    else ends that, because the retry would undo it.
    """

    owner: str | None = None
    sequence: int = -1
    repeatable: bool = True
    past_owners: tuple[str, ...] = ()


class FlagState(_FrozenModel):
    """One flag as it is stored.

    `confirmed` is False when the store may have lost writes and nobody has asserted this flag
    since: it is then served as stale (`durability.py`). `asserted_on` is the server run of the last
    assertion; `killed_by` is whose kill latch it is: a person's outlives the rollout's, and a latch
    without an author is a person's; `version` is the document version of the flag's own last write, and `epoch` that of
    the write which last changed whom the percentage treats: users are counted once in each. `signature` is
    Ed25519 in base64 (`signatures`), empty where no key is set.
    """

    name: str
    description: str = ""
    default_enabled: bool = False
    rollout_percentage: Annotated[float, Field(ge=0, le=100)] = 0.0
    whitelist: UserIds = frozenset()
    blacklist: UserIds = frozenset()
    killed: bool = False
    killed_by: LatchAuthor | None = None
    on_stale: OnStale = "off"
    hash_version: Annotated[int, Field(ge=1)] = 1
    confirmed: bool = True
    asserted_on: str = ""
    version: int = 0
    epoch: int = 0
    signature: str = ""
    fence: FenceState = FenceState()

    @property
    def is_killed_by_person(self) -> bool:
        """True when only a person may clear the kill latch."""
        return self.killed and self.killed_by != "rollout"

    def latch(self, author: LatchAuthor) -> Mapping[str, object]:
        """Return the fields of the flag killed by `author`: a person's latch stays a person's."""
        return {"killed": True, "killed_by": "person" if self.is_killed_by_person else author}


class RouterPhases(_FrozenModel):
    """The router's Phase 4 switches (guide, stages 2 and 3)."""

    enable_feature_flags: bool = False
    enable_online_learning: bool = False

    @property
    def treats_everyone(self) -> bool:
        """True when the treatment is permanent: learning is on and asks no flag."""
        return self.enable_online_learning and not self.enable_feature_flags


class FlagDocument(_FrozenModel):
    """All flags of one environment. `version` only grows (see `mutations.next_version`).

    `phases_flag` is the flag whose rollout set the phases; empty while they belong to none.
    `retired` holds the runs that owned deleted flags: their late writes are still refused after the
    flag was created again. `phases_version` is the document version of the last signed write of
    the phases.
    """

    version: int = 0
    format: Literal[1] = 1
    phases: RouterPhases = RouterPhases()
    phases_flag: str = ""
    phases_asserted_on: str = ""
    phases_fence: FenceState = FenceState()
    phases_version: int = 0
    phases_signature: str = ""
    flags: Mapping[str, FlagState] = Field(default_factory=dict)
    retired: Mapping[str, FenceState] = Field(default_factory=dict)


def dump_document(document: FlagDocument) -> str:
    """Return the JSON text, whose first member is the version (the poll reads only that far)."""
    return document.model_dump_json()


def require_fitting_size(before: FlagDocument, after: FlagDocument, *, is_reduction: bool) -> None:
    """Refuse a change that makes the document larger than ``DOCUMENT_BYTES_MAX``.

    What takes the treatment away (``is_reduction``) is never refused.

    Raises:
        InvalidFlagError: with the size, and the longest list of users.
    """
    if is_reduction:
        return
    size = len(dump_document(after))
    if size <= DOCUMENT_BYTES_MAX or size <= len(dump_document(before)):
        return
    lists = {
        f"the {name} of flag {flag.name!r}": len(getattr(flag, name))
        for flag in after.flags.values()
        for name in ("whitelist", "blacklist")
    }
    longest = max(lists, key=lambda name: lists[name])
    raise InvalidFlagError(
        f"the flags of this environment would take {size:,} bytes, the most is "
        f"{DOCUMENT_BYTES_MAX:,}: shorten {longest} ({lists[longest]:,} users), or delete flags"
    )


def load_document(text: str | bytes) -> FlagDocument:
    """Parse a stored document; raise FlagStoreError when it isn't one this version understands.

    A text of another form (spaces after the colons, another order) was not written by `sluice`:
    the commit script cannot read its version, so no write would ever replace it.
    """
    if stored_version(text) is None:
        raise FlagStoreError(
            'the stored flag document is not readable: it does not begin with {"version":NUMBER, '
            "so another program wrote it. Restore it, or replace it with `sluice kill FLAG`"
        )
    return _parse(text)


def stored_version(text: str | bytes) -> int | None:
    """Read the version from the beginning of a stored text; None when it does not begin with it."""
    match = _STORED_FORM.match(text.decode(errors="replace") if isinstance(text, bytes) else text)
    return int(match[1]) if match else None


def salvage_document(text: str | bytes) -> FlagDocument | None:
    """Parse a text whatever its form; None when it is not a flag document at all."""
    try:
        return _parse(text)
    except FlagStoreError:
        return None


def _parse(text: str | bytes) -> FlagDocument:
    try:
        return FlagDocument.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        location = ".".join(str(part) for part in problem["loc"]) or "document"
        raise FlagStoreError(
            f"the stored flag document is not readable: {location}: {problem['msg']}. "
            "Restore it, or replace it with `sluice kill FLAG`"
        ) from None
