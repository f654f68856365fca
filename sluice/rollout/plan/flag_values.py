"""The percentages and user ids of a plan, by the flag store's own rules."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator

from sluice.flag_rules import percentage_problem, user_problem, users_problem
from sluice.rollout.errors import QuantityError
from sluice.rollout.units import ThresholdForm, threshold_form

_LOOK_ALIKE_SCRIPTS = {"LATIN", "CYRILLIC", "GREEK"}


def parse_percentage(value: object) -> float:
    """Read a percentage of users: ``25``, ``0.5`` or ``25%``.

    Raises:
        QuantityError: a value that the flag store refuses.
    """
    number = _to_number(value)
    if problem := percentage_problem(number):
        raise QuantityError(f"{str(value)[:60]!r} is not a percentage of users: {problem}")
    assert isinstance(number, int | float)  # noqa: S101  the rule has refused others
    return float(number)


def _to_number(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip().removesuffix("%").rstrip()
    # float() would also read 2_5, and the digits of other scripts.
    return float(text) if threshold_form(text) is ThresholdForm.NUMBER else value


def parse_users(value: object) -> tuple[str, ...] | None:
    """Read a whitelist; None stays None.

    Raises:
        QuantityError: a list or an id that the flag store refuses, or an id that occurs twice.
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise QuantityError("give a list of user ids, for example [user_alice, user_bob]")
    for index, user in enumerate(value):
        if problem := user_problem(user):
            raise QuantityError(f"entry {index + 1}, {str(user)[:60]!r}: {problem}")
        if user != user.strip():
            raise QuantityError(
                f"entry {index + 1}, {user!r}, begins or ends with a space; remove it"
            )
        if text := _look_alike_problem(user, value[:index]):
            raise QuantityError(f"entry {index + 1}, {user!r}, {text}")
    if problem := users_problem(len(value)):
        raise QuantityError(problem)
    return tuple(value)


def _look_alike_problem(user: str, earlier: Sequence[str]) -> str:
    """Return the reason why people would take the id for another one, or an empty text."""
    if user in earlier:
        return "is written twice; keep one"
    for character in user:
        if unicodedata.category(character) == "Cf":
            return f"holds U+{ord(character):04X}, which nobody sees; remove it"
    folded = unicodedata.normalize("NFKC", user)
    if folded in (unicodedata.normalize("NFKC", other) for other in earlier):
        return "looks like an earlier entry, in other characters; keep one"
    scripts = {unicodedata.name(character, "").partition(" ")[0] for character in user}
    if len(mixed := sorted(scripts & _LOOK_ALIKE_SCRIPTS)) > 1:
        return f"mixes {' and '.join(script.title() for script in mixed)} letters, which look alike; use one script"
    return ""


Percentage = Annotated[float, BeforeValidator(parse_percentage)]
Users = Annotated[tuple[str, ...] | None, BeforeValidator(parse_users)]
