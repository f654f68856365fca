"""The author and reason of a write, and the fencing token that identifies late writes."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.flags.errors import InvalidFlagError

TEXT_LENGTH_MAX = 1_000


@dataclass(frozen=True)
class Fence:
    """A write's position in its run: a retry repeats the number, a later command has a larger one."""

    run_id: str
    sequence: int

    def __post_init__(self) -> None:
        validate_run_id(self.run_id)
        if isinstance(self.sequence, bool) or not isinstance(self.sequence, int):
            raise InvalidFlagError(f"fence sequence {self.sequence!r}: give a whole number")
        if not 0 <= self.sequence < 2**53:
            raise InvalidFlagError(f"fence sequence {self.sequence!r}: give a number from 0")


@dataclass(frozen=True)
class WriteMetadata:
    """The author of a write. Without a fence it is a person's write, which a run cannot fence off."""

    actor: str
    reason: str
    fence: Fence | None = None

    def __post_init__(self) -> None:
        for field, text in (("actor", self.actor), ("reason", self.reason)):
            if not isinstance(text, str) or len(text) > TEXT_LENGTH_MAX:
                raise InvalidFlagError(
                    f"{field}: give a text of at most {TEXT_LENGTH_MAX} characters"
                )

    @classmethod
    def shortened(cls, actor: str, reason: str) -> WriteMetadata:
        """Cut texts that are too long: a kill never fails for the length of its reason."""
        return cls(actor[:TEXT_LENGTH_MAX], reason[:TEXT_LENGTH_MAX])


UNNAMED = WriteMetadata(actor="unnamed", reason="")


def validate_run_id(run_id: object) -> str:
    """Return the run id, or raise InvalidFlagError."""
    if isinstance(run_id, str) and 0 < len(run_id) <= TEXT_LENGTH_MAX:
        return run_id
    raise InvalidFlagError(f"run id {run_id!r}: give a text of 1 to {TEXT_LENGTH_MAX} characters")


@dataclass(frozen=True)
class AuditEntry:
    """One applied write. `before` and `after` are JSON values of what the action changed."""

    id: str
    at_ms: int
    flag: str
    action: str
    before: object
    after: object
    version: int
    metadata: WriteMetadata
