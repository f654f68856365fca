"""Any language model, watched: one deadline, a breaker, metrics; failing it degrades the answer."""

import asyncio
import time

import structlog

from router import trace
from router.breaker import FAILURES_MAX, Breaker
from router.llm.port import LanguageModel, LanguageModelError, T, Usage, UsageHook
from router.metrics import LLM_TOKENS, Metrics

logger = structlog.get_logger(__name__)
# The caller's own content was at fault, not the server: no reason to leave the model alone.
_HEALTHY = frozenset({"refused", "truncated"})


def counting(metrics: Metrics) -> UsageHook:
    """A hook for ``from_settings`` that counts tokens and cost."""

    def count(usage: Usage) -> None:
        for kind in LLM_TOKENS:
            metrics.llm_tokens.labels(kind).inc(getattr(usage.tokens, kind))
        metrics.llm_cost.inc(usage.cost_usd)

    return count


class WatchedModel:
    """``seconds`` bounds a whole answer, retries of the SDK included."""

    def __init__(self, model: LanguageModel, metrics: Metrics, seconds: float) -> None:
        self._model = model
        self._metrics = metrics
        self._seconds = seconds
        self._breaker = Breaker()

    async def complete(self, *, system: str, prompt: str, schema: type[T]) -> T:
        """See ``LanguageModel.complete``; reason ``skipped`` after repeated failures."""
        if not self._breaker.admits():
            raise self._gone_without(LanguageModelError("skipped", "left alone after failures"))
        started = time.perf_counter()
        try:
            async with asyncio.timeout(min(self._seconds, max(0.0, trace.remaining()))):
                answer = await self._model.complete(system=system, prompt=prompt, schema=schema)
        except TimeoutError:
            late = LanguageModelError("timeout", f"no answer within {self._seconds:g} s")
            raise self._failed(late) from None
        except LanguageModelError as error:
            raise self._failed(error) from error.__cause__
        finally:
            self._metrics.llm_seconds.observe(time.perf_counter() - started)
        self._breaker.succeeded()
        self._metrics.llm_requests.labels("ok").inc()
        return answer

    def unfaithful(self, reason: str) -> None:
        """The rewriter's hook; other reasons were counted when they happened."""
        if reason == "unfaithful":
            self._metrics.llm_requests.labels(reason).inc()

    def _failed(self, error: LanguageModelError) -> LanguageModelError:
        if error.reason in _HEALTHY:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
            if (in_a_row := self._breaker.in_a_row) in (1, FAILURES_MAX):
                logger.warning("llm_failed", why=str(error), in_a_row=in_a_row)
        return self._gone_without(error)

    def _gone_without(self, error: LanguageModelError) -> LanguageModelError:
        self._metrics.llm_requests.labels(error.reason).inc()
        trace.failed("llm", error.reason)
        return error
