"""An OpenFeature provider, for code that should not know whose flags it asks.

Flags are booleans; the targeting key is the user id. A stale flag answers False with reason
STALE, whatever default the caller gave: a default of True must not turn a treatment on. An
unknown flag, a missing targeting key or another type answers the caller's default with the
error code, as the specification asks (open-feature/spec, section 1.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as StandardReason
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, Metadata

from router.flags.evaluation import Evaluation, Reason
from router.flags.reader import FlagReader
from router.flags.view import FlagView

T = TypeVar("T")
Structure = Sequence[FlagValueType] | Mapping[str, FlagValueType]
READY_SECONDS = 2.0
_STANDARD = {reason: StandardReason(reason.value) for reason in Reason}


class SluiceProvider(AbstractProvider):
    """Answers from a view. A `FlagReader` is started on `initialize` and stopped on `shutdown`."""

    def __init__(self, view: FlagView, *, ready_seconds: float = READY_SECONDS) -> None:
        super().__init__()
        self._view = view
        self._ready_seconds = ready_seconds

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata(name="sluice")

    def get_provider_hooks(self) -> list[Hook]:
        """Return no hooks."""
        return []

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Start following; raise ProviderNotReadyError when the store does not answer in time."""
        if isinstance(self._view, FlagReader):
            self._view.start()
            if not self._view.wait_ready(self._ready_seconds):
                raise ProviderNotReadyError("the flag store did not answer")

    def shutdown(self) -> None:
        """Stop following: every treatment is off."""
        if isinstance(self._view, FlagReader):
            self._view.stop()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Evaluate the flag for the context's targeting key."""
        user = evaluation_context.targeting_key if evaluation_context else None
        evaluation = self._view.evaluate(flag_key, user or "")
        if evaluation.reason is Reason.ERROR:
            return _failed(default_value, flag_key, evaluation)
        return FlagResolutionDetails(
            value=evaluation.enabled,
            reason=_STANDARD[evaluation.reason],
            variant=evaluation.variant,
            flag_metadata={"version": evaluation.version, "detail": evaluation.detail},
        )

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Refuse: flags are booleans."""
        return self._mismatch(flag_key, default_value)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Refuse: flags are booleans."""
        return self._mismatch(flag_key, default_value)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Refuse: flags are booleans."""
        return self._mismatch(flag_key, default_value)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Structure,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Structure]:
        """Refuse: flags are booleans."""
        return self._mismatch(flag_key, default_value)

    def _mismatch(self, flag_key: str, default_value: T) -> FlagResolutionDetails[T]:
        if flag_key not in self._view.snapshot().flags:
            return _error(default_value, ErrorCode.FLAG_NOT_FOUND, f"no flag {flag_key!r}")
        return _error(default_value, ErrorCode.TYPE_MISMATCH, f"flag {flag_key!r} is a boolean")


def _failed(default: T, flag_key: str, evaluation: Evaluation) -> FlagResolutionDetails[T]:
    if evaluation.detail == "FLAG_NOT_FOUND":
        return _error(default, ErrorCode.FLAG_NOT_FOUND, f"no flag {flag_key!r}")
    return _error(
        default, ErrorCode.TARGETING_KEY_MISSING, "give the user id as the context's targeting key"
    )


def _error(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(
        value=default, reason=StandardReason.ERROR, error_code=code, error_message=message
    )
