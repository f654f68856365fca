"""An OpenFeature provider, for code that should not know whose flags it asks.

Flags are booleans; the targeting key is the user id. A stale flag answers False with reason
STALE, whatever default the caller gave: a default of True must not turn a treatment on. An
unknown flag, or another type, answers the caller's default with the error code, as the
specification asks (open-feature/spec, section 1.4). Without a targeting key a flag answers what it
answers everybody (killed, stale, 0 % or 100 %); one that depends on the user is an error.

The provider is ready or closed. Before its first read it is STALE, a status in which the SDK asks
the provider, which answers False; in NOT_READY the SDK would return the caller's default unasked.

Events: READY and STALE as the store is followed or lost, and the names of changed flags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as StandardReason
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, Metadata

from sluice.flags.redis.reader import FlagReader
from sluice.flags.resolution import ResolutionError, resolve
from sluice.flags.view import FlagView

T = TypeVar("T")
Structure = Sequence[FlagValueType] | Mapping[str, FlagValueType]
READY_SECONDS = 2.0


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

    def attach(self, on_emit: Callable[..., None]) -> None:
        """Connect to the SDK; report STALE until the first read."""
        super().attach(on_emit)
        if self._view.stale:
            self.emit_provider_stale(ProviderEventDetails(message="the flags are not read yet"))

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Start the reader; raise ProviderNotReadyError when the store does not answer in time."""
        if isinstance(self._view, FlagReader):
            self._view.listener = _EventForwarder(self)
            self._view.start()
            if not self._view.wait_ready(self._ready_seconds):
                raise ProviderNotReadyError("the flag store did not answer")

    def shutdown(self) -> None:
        """Stop the reader: every treatment is off."""
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
        resolved = resolve(self._view, flag_key, user)
        if isinstance(resolved, ResolutionError):
            return _error_details(default_value, ErrorCode(resolved.code), resolved.message)
        evaluation = resolved.evaluation
        return FlagResolutionDetails(
            value=evaluation.enabled,
            reason=StandardReason(resolved.reason),
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
        return self._reject_type(flag_key, default_value)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Refuse: flags are booleans."""
        return self._reject_type(flag_key, default_value)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Refuse: flags are booleans."""
        return self._reject_type(flag_key, default_value)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Structure,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Structure]:
        """Refuse: flags are booleans."""
        return self._reject_type(flag_key, default_value)

    def _reject_type(self, flag_key: str, default_value: T) -> FlagResolutionDetails[T]:
        if flag_key not in self._view.snapshot().flags:
            return _error_details(default_value, ErrorCode.FLAG_NOT_FOUND, f"no flag {flag_key!r}")
        return _error_details(
            default_value, ErrorCode.TYPE_MISMATCH, f"flag {flag_key!r} is a boolean"
        )


class _EventForwarder:
    """Forwards the reader's changes to the SDK as events."""

    def __init__(self, provider: AbstractProvider) -> None:
        self._provider = provider

    def on_flags_changed(self, names: frozenset[str]) -> None:
        details = ProviderEventDetails(flags_changed=sorted(names))
        self._provider.emit_provider_configuration_changed(details)

    def on_health(self, healthy: bool, error: str) -> None:
        if healthy:
            self._provider.emit_provider_ready(ProviderEventDetails())
        else:
            self._provider.emit_provider_stale(ProviderEventDetails(message=error))


def _error_details(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(
        value=default, reason=StandardReason.ERROR, error_code=code, error_message=message
    )
