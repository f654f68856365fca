"""What the plan says of rollbacks: the levels of a graceful one, the commit that a code one reverts."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from sluice.rollout.analysis.gate import Model
from sluice.rollout.units import Duration, parse_duration

Percentage = Annotated[float, Field(ge=0, le=100)]


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class GracefulRollback(Model):
    """Step down through ``percentages``, watching each for ``watch`` (guide: Graceful Rollback)."""

    percentages: Annotated[tuple[Percentage, ...], BeforeValidator(_list_to_tuple)] = (50, 25, 0)
    watch: Duration = parse_duration("1d")

    @model_validator(mode="after")
    def _require_fall_to_zero(self) -> Self:
        levels = list(self.percentages)
        if not levels or levels[-1] != 0 or sorted(set(levels), reverse=True) != levels:
            raise ValueError("percentages must fall and end at 0, for example [50, 25, 0]")
        return self

    def levels_below(self, percentage: float) -> tuple[float, ...]:
        """The levels still to come from ``percentage``; always at least 0 %."""
        return tuple(level for level in self.percentages if level < percentage) or (0.0,)


class CodeRevertPolicy(Model):
    """The commit that a code rollback reverts, and where it is pushed (guide: Code Rollback).

    The clone and the deploy hook are the worker's: SLUICE_CODE_REPOSITORY, SLUICE_DEPLOY_HOOK.
    """

    commit: str = Field(pattern=r"^[0-9a-f]{7,64}$")
    branch: str = Field(default="main", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")
    remote: str = Field(default="origin", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")


class RollbackPolicy(Model):
    """Both kinds of rollback that take more than one write."""

    graceful: GracefulRollback = GracefulRollback()
    code: CodeRevertPolicy | None = None
