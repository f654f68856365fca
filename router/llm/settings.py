"""Settings of the language model and its limits."""

from dataclasses import dataclass, field
from typing import Literal


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
