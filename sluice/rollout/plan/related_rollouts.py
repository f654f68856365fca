"""Other rollouts that a plan waits for: those it excludes, and those that must have ended well."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from sluice.rollout.model import Model

FlagName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100)]


class RequiredRollout(Model):
    """A rollout whose last run must have ended Healthy; ``environment`` None: the plan's own."""

    flag: FlagName
    environment: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]+$")


def _flag_to_rollout(value: object) -> object:
    return {"flag": value} if isinstance(value, str) else value


AnyRequiredRollout = Annotated[RequiredRollout, BeforeValidator(_flag_to_rollout)]
"""A required rollout, or only its flag."""


def rollout_key(flag: str, environment: str) -> str:
    """Return ``flag@environment``, as the checklist names a rollout."""
    return f"{flag}@{environment}"


def parse_rollout_key(key: str) -> tuple[str, str]:
    """Return the flag and the environment of a key; the environment is empty without one."""
    flag, _, environment = key.partition("@")
    return flag, environment
