"""The percentages and user ids of a plan, by the flag store's own rules."""

from typing import Annotated

from pydantic import BeforeValidator

from sluice.flag_rules import percentage_problem, user_problem, users_problem
from sluice.rollout.errors import QuantityError
from sluice.rollout.units import ThresholdForm, threshold_form


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
        if user in value[:index]:
            raise QuantityError(f"entry {index + 1}, {user!r}, is written twice; keep one")
    if problem := users_problem(len(value)):
        raise QuantityError(problem)
    return tuple(value)


Percentage = Annotated[float, BeforeValidator(parse_percentage)]
Users = Annotated[tuple[str, ...] | None, BeforeValidator(parse_users)]
