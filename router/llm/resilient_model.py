"""A language model with a deadline, a circuit breaker and metrics; a failure degrades the answer."""

import asyncio
import time

import structlog

from router.llm.port import LanguageModel, LanguageModelError, T, Usage, UsageHook
from router.observability import trace
from router.observability.metrics import LLM_TOKENS, RouterMetrics
from router.overload.circuit_breaker import FAILURES_MAX, CircuitBreaker

REMAINING_SHARE = 0.6
"""Share of the query's remaining time, so that it is answered without the model too."""
logger = structlog.get_logger(__name__)
# The caller's own content was at fault, not the server: no reason to leave the model alone.
_HEALTHY_REASONS = frozenset({"refused", "truncated"})


def usage_counter(metrics: RouterMetrics) -> UsageHook:
    """Return a hook that counts tokens and cost."""

    def count(usage: Usage) -> None:
        for kind in LLM_TOKENS:
            metrics.llm_tokens.labels(kind).inc(getattr(usage.tokens, kind))
        metrics.llm_cost.inc(usage.cost_usd)

    return count


class ResilientModel:
    """Model with a limit of ``seconds`` for a whole answer, the SDK's retries included."""

    def __init__(self, model: LanguageModel, metrics: RouterMetrics, seconds: float) -> None:
        self._model = model
        self._metrics = metrics
        self._seconds = seconds
        self._breaker = CircuitBreaker()

    async def complete(self, *, system: str, prompt: str, schema: type[T]) -> T:
        """Complete a prompt; raise with the reason ``skipped`` after repeated failures."""
        if not self._breaker.allows_request():
            raise self._record_degradation(
                LanguageModelError("skipped", "left alone after failures")
            )
        started = time.perf_counter()
        seconds = min(self._seconds, max(0.0, trace.remaining_seconds()) * REMAINING_SHARE)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._model.complete(system=system, prompt=prompt, schema=schema)
        except TimeoutError:
            late = LanguageModelError("timeout", f"no answer within {seconds:.3g} s")
            if seconds < self._seconds:  # a hurried query proves nothing about the model
                raise self._record_degradation(late) from None
            raise self._record_failure(late) from None
        except LanguageModelError as error:
            raise self._record_failure(error) from error.__cause__
        finally:
            self._metrics.llm_seconds.observe(time.perf_counter() - started)
        self._breaker.record_success()
        self._metrics.llm_requests.labels("ok").inc()
        return answer

    def count_unfaithful(self, reason: str) -> None:
        """Count unfaithful rewrites; other reasons are counted where they occur."""
        if reason == "unfaithful":
            self._metrics.llm_requests.labels(reason).inc()

    def _record_failure(self, error: LanguageModelError) -> LanguageModelError:
        if error.reason in _HEALTHY_REASONS:
            self._breaker.record_success()
        else:
            self._breaker.record_failure()
            if (in_a_row := self._breaker.consecutive_failures) in (1, FAILURES_MAX):
                logger.warning("llm_failed", why=str(error), in_a_row=in_a_row)
        return self._record_degradation(error)

    def _record_degradation(self, error: LanguageModelError) -> LanguageModelError:
        self._metrics.llm_requests.labels(error.reason).inc()
        trace.record_failure("llm", error.reason)
        return error
