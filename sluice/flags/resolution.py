"""Resolve a flag as OpenFeature's providers do: a value with a reason, or an error code.

Without a user a flag resolves to what it gives everybody (killed, stale, 0 % or 100 %). One that
depends on the user is the error TARGETING_KEY_MISSING (open-feature/spec, section 1.4).
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.flag_rules import FULL_PERCENTAGE
from sluice.flags.document import FlagState
from sluice.flags.evaluation import Evaluation, Reason
from sluice.flags.view import FlagView

STATIC = "STATIC"
FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
INVALID_CONTEXT = "INVALID_CONTEXT"
PLACEHOLDER_USER = "\x00"
"""Evaluates a flag that gives everybody the same answer."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """A resolved flag; `reason` is OpenFeature's name."""

    evaluation: Evaluation
    reason: str


@dataclass(frozen=True, slots=True)
class ResolutionError:
    """A flag that has no value for this caller; `code` is OpenFeature's error code."""

    code: str
    message: str


def resolve(view: FlagView, flag: str, user: str | None) -> Resolution | ResolutionError:
    """Resolve the flag for the user. No I/O, never raises."""
    evaluation = view.evaluate(flag, user or PLACEHOLDER_USER)
    if evaluation.reason is Reason.ERROR:
        return _resolution_error(flag, evaluation)
    if user or evaluation.reason in {Reason.DISABLED, Reason.STALE}:
        return Resolution(evaluation, evaluation.reason.value)
    state = view.snapshot().flags.get(flag)
    if state is None or _depends_on_user(state):
        message = f"flag {flag!r} depends on the user: send the user id as the targeting key"
        return ResolutionError(TARGETING_KEY_MISSING, message)
    return Resolution(evaluation, STATIC)


def _depends_on_user(flag: FlagState) -> bool:
    has_share = 0 < flag.rollout_percentage < FULL_PERCENTAGE
    return bool(has_share or flag.whitelist or flag.blacklist)


def _resolution_error(flag: str, evaluation: Evaluation) -> ResolutionError:
    if evaluation.detail == FLAG_NOT_FOUND:
        return ResolutionError(FLAG_NOT_FOUND, f"the environment has no flag {flag!r}")
    message = "the targeting key must be a text of at least one character"
    return ResolutionError(INVALID_CONTEXT, message)
