"""Validation of names, percentages and user ids. An error names the field and the fix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sluice.flag_rules import (
    BUCKETS_PER_PERCENT,
    percentage_problem,
    user_problem,
    users_problem,
)
from sluice.flags.errors import InvalidFlagError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DESCRIPTION_LENGTH_MAX = 1_000
FLAGS_MAX = 1_000
PHASES = ("enable_feature_flags", "enable_online_learning")
BUCKETS = 10_000


def validate_name(name: object) -> str:
    """Return the name, or raise InvalidFlagError."""
    if isinstance(name, str) and NAME_PATTERN.fullmatch(name):
        return name
    raise InvalidFlagError(
        f"flag name {name!r}: use 1 to 100 letters, digits, '.', '_' or '-', "
        "beginning with a letter or digit"
    )


def validate_percentage(percentage: object) -> float:
    """Return the percentage as a float in [0, 100] of at most two decimals.

    Raises:
        InvalidFlagError: any other value.
    """
    if problem := percentage_problem(percentage):
        raise InvalidFlagError(f"rollout_percentage {percentage!r}: {problem}")
    assert isinstance(percentage, int | float)  # noqa: S101  the rule has refused others
    return round(percentage * BUCKETS_PER_PERCENT) / BUCKETS_PER_PERCENT


def validate_user(user_id: object) -> str:
    """Return the user id.

    Raises:
        InvalidFlagError: it is empty, too long or not valid Unicode.
    """
    if problem := user_problem(user_id):
        raise InvalidFlagError(f"user id {user_id!r}: {problem}")
    assert isinstance(user_id, str)  # noqa: S101  the rule has refused others
    return user_id


def validate_users(users: Iterable[object]) -> frozenset[str]:
    """Return the user ids as a set, or raise InvalidFlagError."""
    if isinstance(users, str | bytes):
        raise InvalidFlagError(f"users {users!r}: give a list of user ids, not one text")
    checked = frozenset(validate_user(user) for user in users)
    if problem := users_problem(len(checked)):
        raise InvalidFlagError(problem)
    return checked


def validate_bool(field: str, value: object) -> bool:
    """Return the value, or raise InvalidFlagError when it is not exactly True or False."""
    if isinstance(value, bool):
        return value
    raise InvalidFlagError(f"{field} {value!r}: give true or false")


def validate_phases(phases: Mapping[str, object]) -> dict[str, bool]:
    """Return the router's switches by name, or raise InvalidFlagError."""
    if unknown := sorted(set(phases) - set(PHASES)):
        raise InvalidFlagError(f"phases {unknown}: there are {', '.join(PHASES)}")
    return {phase: validate_bool(phase, on) for phase, on in phases.items()}


def validate_description(text: object) -> str:
    """Return the text, or raise InvalidFlagError."""
    if isinstance(text, str) and len(text) <= DESCRIPTION_LENGTH_MAX:
        return text
    raise InvalidFlagError(
        f"description: give a text of at most {DESCRIPTION_LENGTH_MAX} characters"
    )
