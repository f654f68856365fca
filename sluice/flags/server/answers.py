"""A resolved flag as OFREP writes it."""

from __future__ import annotations

from typing import Any

from sluice.flags.resolution import Resolution, ResolutionError, resolve
from sluice.flags.view import FlagView

OFREP_REASONS = {"DEFAULT": "SPLIT", "STALE": "UNKNOWN"}
"""The protocol knows STATIC, TARGETING_MATCH, SPLIT, DISABLED and UNKNOWN; metadata has our reason."""


def answer_of(view: FlagView, flag: str, user: str | None) -> dict[str, Any]:
    """Return the flag's value for the user, or its failure with `errorCode`."""
    resolved = resolve(view, flag, user)
    if isinstance(resolved, ResolutionError):
        return failure(flag, resolved.code, resolved.message)
    return success(flag, resolved)


def success(flag: str, resolved: Resolution) -> dict[str, Any]:
    """Return a flag's value."""
    evaluation = resolved.evaluation
    return {
        "key": flag,
        "value": evaluation.enabled,
        "reason": OFREP_REASONS.get(resolved.reason, resolved.reason),
        "variant": evaluation.variant,
        "metadata": {
            "version": evaluation.version,
            "reason": resolved.reason,
            "detail": evaluation.detail,
        },
    }


def failure(flag: str, code: str, details: str) -> dict[str, Any]:
    """Return a flag's failure; `code` is OpenFeature's."""
    return {"key": flag, "errorCode": code, "errorDetails": details}
