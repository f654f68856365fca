"""The base of every value object of the rollout."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

Item = TypeVar("Item")


class Model(BaseModel):
    """Frozen, and an unknown field is an error, not a silent default.

    Validators are built at first use: a command uses a few of a hundred models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


TupleOf = Annotated[tuple[Item, ...], BeforeValidator(_list_to_tuple)]
"""A tuple that is written as a list in YAML and JSON."""
