"""Every way a flag operation can fail. Evaluation never raises: it answers "off" with a reason."""

from __future__ import annotations


class FlagError(Exception):
    """A flag operation was refused or failed; nothing else is raised by `sluice.flags`."""


class UnknownFlagError(FlagError):
    """The environment has no flag of this name."""


class FlagExistsError(FlagError):
    """A flag of this name exists already and differs from the one to create."""


class InvalidFlagError(FlagError):
    """A name, percentage, user id or setting is not acceptable; nothing was written."""


class FencedError(FlagError):
    """The write comes from a run that lost the flag, or is older than one already applied."""


class PhasesTakenError(FlagError):
    """The router's phases belong to another flag, and at least one of them is on."""


class ExcludedError(FlagError):
    """Another flag, which the write excludes, treats a part of the users."""


class KilledError(FlagError):
    """The flag's kill latch is set, and the write would expose users before a person clears it."""


class FlagStoreError(FlagError):
    """The store was out of reach, refused the command, or kept losing the race.

    After a timeout the write may still have been applied: read the flag, or repeat the write
    (every write is an absolute value, so repeating it is safe).
    """
