"""Errors of the pure core.

RolloutError
├── PlanError            the plan has mistakes: one Mistake each, with field and line
├── QuantityError        a duration or threshold that can't be read
├── CommandRefusedError  a person's command that doesn't fit the state of the rollout
└── OverrideError        an edit of a "what if" that names no recorded rule, or can't be judged again
"""

from dataclasses import dataclass


class RolloutError(Exception):
    """Base of every error of the core."""


class QuantityError(RolloutError, ValueError):
    """A duration or threshold can't be read; a ValueError so that pydantic reports its field."""


class CommandRefusedError(RolloutError):
    """The command doesn't fit the state of the rollout; nothing was changed."""


class OverrideError(RolloutError):
    """The edit can't be applied to what was recorded; the message lists what can."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake in a plan file. ``line`` counts from 1; None where the file has no such place."""

    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        return f"{place}{self.field}: {self.message}"


class PlanError(RolloutError):
    """The plan has mistakes; str() gives one line for each."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in diagnostics))
        self.diagnostics = diagnostics
