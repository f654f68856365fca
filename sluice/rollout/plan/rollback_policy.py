"""The plan's rollbacks: the levels of a graceful one, and the commit that a code one reverts."""

from typing import Self

from pydantic import Field, model_validator

from sluice.rollout.model import Model, TupleOf
from sluice.rollout.plan.flag_values import Percentage
from sluice.rollout.units import Duration, parse_duration


class GracefulRollback(Model):
    """Steps down through ``percentages``, each watched for ``watch`` (guide: Graceful Rollback)."""

    percentages: TupleOf[Percentage] = (50, 25, 0)
    watch: Duration = parse_duration("1d")

    @model_validator(mode="after")
    def _require_fall_to_zero(self) -> Self:
        levels = list(self.percentages)
        if not levels or levels[-1] != 0 or sorted(set(levels), reverse=True) != levels:
            raise ValueError("percentages must fall and end at 0, for example [50, 25, 0]")
        if not self.watch:
            raise ValueError(
                "watch must be longer than zero; an emergency rollback goes to 0 at once"
            )
        return self

    def levels_below(self, percentage: float) -> tuple[float, ...]:
        """Return the levels still to come from ``percentage``; always at least 0 %."""
        return tuple(level for level in self.percentages if level < percentage) or (0.0,)


class CodeRevertPolicy(Model):
    """The commit that a code rollback reverts, and where it is pushed (guide: Code Rollback).

    The clone and the deploy hook are the worker's: SLUICE_CODE_REPOSITORY, SLUICE_DEPLOY_HOOK.
    """

    commit: str = Field(pattern=r"^[0-9a-f]{7,64}$")
    branch: str = Field(default="main", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")
    remote: str = Field(default="origin", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")


class RollbackPolicy(Model):
    """The two kinds of rollback that take more than one write."""

    graceful: GracefulRollback = GracefulRollback()
    code: CodeRevertPolicy | None = None
