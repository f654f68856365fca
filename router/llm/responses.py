"""Shared parts of both providers: parsing answers, naming failures, counting cost."""

from pydantic import ValidationError

from router.llm.port import LanguageModelError, T, Tokens, Usage, UsageHook
from router.llm.settings import Price

_MILLION = 1_000_000
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_RETRYABLE = frozenset({408, 409})


def parse_response(text: str, schema: type[T]) -> T:
    """Read a model's answer as ``schema``.

    Raises:
        LanguageModelError: it is not JSON, or not of that shape (``invalid``).
    """
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        raise LanguageModelError(
            "invalid", f"the answer does not fit {schema.__name__}: {error.error_count()} error(s)"
        ) from error


def status_reason(status: int) -> str:
    """Return the reason for an HTTP status other than 2xx."""
    if status == _TOO_MANY_REQUESTS:
        return "rate_limited"
    return "unavailable" if status >= _SERVER_ERROR or status in _RETRYABLE else "rejected"


def report_usage(hook: UsageHook | None, *, model: str, tokens: Tokens, price: Price) -> None:
    """Pass the usage and cost of a call to the hook, if any."""
    if hook is None:
        return
    cost = (
        price.input * tokens.input
        + price.output * tokens.output
        + price.cache_read * tokens.cache_read
        + price.cache_write * tokens.cache_write
    ) / _MILLION
    hook(Usage(model=model, tokens=tokens, cost_usd=cost))
