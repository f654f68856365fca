"""Settings of the language model: provider, keys, addresses and limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from router.env import read_choice, read_positive
from router.errors import RouterSettingsError


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, as the provider bills them; zero is not counted."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0


@dataclass(frozen=True, slots=True)
class LLMSettings:
    """Keys, addresses and limits.

    ``provider`` None takes Anthropic when its key is set, else OpenAI. ``timeout`` is in seconds
    for one attempt, ``max_tokens`` bounds the answer; ``max_retries`` counts further attempts after
    429, 5xx and lost connections (the SDKs honour Retry-After).
    """

    provider: Literal["anthropic", "openai"] | None = None
    anthropic_api_key: str | None = field(default=None, repr=False)
    anthropic_base_url: str | None = None
    anthropic_model: str = "claude-haiku-4-5"
    openai_api_key: str | None = field(default=None, repr=False)
    openai_base_url: str | None = None
    openai_model: str = "gpt-4.1-mini"
    timeout: float = 2.0
    max_tokens: int = 512
    max_retries: int = 1
    price: Price = field(default_factory=Price)


PROVIDERS: tuple[Literal["anthropic", "openai"], ...] = ("anthropic", "openai")


def read_llm_settings(env: Mapping[str, str]) -> LLMSettings:
    """Read the process's environment. Raises RouterSettingsError."""
    default = LLMSettings()
    provider = read_choice(env, "SLUICE_LLM_PROVIDER", (*PROVIDERS, ""), "")
    model = env.get("SLUICE_LLM_MODEL")
    return LLMSettings(
        provider=next((name for name in PROVIDERS if name == provider), None),
        openai_api_key=env.get("OPENAI_API_KEY"),
        openai_base_url=env.get("OPENAI_BASE_URL"),
        openai_model=model or default.openai_model,
        anthropic_api_key=env.get("ANTHROPIC_API_KEY"),
        anthropic_base_url=env.get("ANTHROPIC_BASE_URL"),
        anthropic_model=model or default.anthropic_model,
        timeout=read_positive(env, "SLUICE_LLM_SECONDS", default.timeout),
        max_tokens=int(read_positive(env, "SLUICE_LLM_MAX_TOKENS", default.max_tokens)),
        price=_read_price(env),
    )


def _read_price(env: Mapping[str, str]) -> Price:
    """Read dollars per million tokens of input, output, cache reads and cache writes."""
    text = env.get("SLUICE_LLM_PRICE", "0,0,0,0")
    try:
        prices = [float(number) for number in text.split(",")]
    except ValueError:
        prices = []
    if len(prices) != len(fields(Price)) or not all(0 <= price < float("inf") for price in prices):
        raise RouterSettingsError(
            f"SLUICE_LLM_PRICE={text!r}: give four numbers, dollars per million tokens of "
            "input, output, cache reads and cache writes, like 1,5,0.1,1.25"
        )
    return Price(*prices)
