"""Language models behind one port; optional everywhere."""

from router.llm.port import (
    ClosableModel,
    LanguageModel,
    LanguageModelError,
    Tokens,
    Usage,
    UsageHook,
)
from router.llm.settings import LLMSettings, Price

__all__ = [
    "ClosableModel",
    "LLMSettings",
    "LanguageModel",
    "LanguageModelError",
    "Price",
    "Tokens",
    "Usage",
    "UsageHook",
    "create_language_model",
]


def create_language_model(
    settings: LLMSettings, *, on_usage: UsageHook | None = None
) -> ClosableModel | None:
    """Create the configured model; return None without a key, so that queries run without one.

    Only the provider's own SDK is imported: each takes a second or two.
    """
    keys = {"anthropic": settings.anthropic_api_key, "openai": settings.openai_api_key}
    providers = [settings.provider] if settings.provider else list(keys)
    provider = next((name for name in providers if keys[name]), None)
    if provider == "anthropic":
        from router.llm.anthropic_model import AnthropicModel  # noqa: PLC0415 - slow

        return AnthropicModel(settings, on_usage=on_usage)
    if provider == "openai":
        from router.llm.openai_model import OpenAIModel  # noqa: PLC0415 - slow

        return OpenAIModel(settings, on_usage=on_usage)
    return None
