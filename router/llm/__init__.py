"""Language models behind one port; optional everywhere."""

from router.llm.port import (
    LanguageModel,
    LanguageModelError,
    OwnModel,
    Tokens,
    Usage,
    UsageHook,
)
from router.llm.settings import LLMSettings, Price

__all__ = [
    "LLMSettings",
    "LanguageModel",
    "LanguageModelError",
    "OwnModel",
    "Price",
    "Tokens",
    "Usage",
    "UsageHook",
    "from_settings",
]


def from_settings(settings: LLMSettings, *, on_usage: UsageHook | None = None) -> OwnModel | None:
    """The configured model, or None: without a key, queries are served without one.

    Only the provider's own SDK is imported: each takes a second or two.
    """
    keys = {"anthropic": settings.anthropic_api_key, "openai": settings.openai_api_key}
    wanted = [settings.provider] if settings.provider else list(keys)
    provider = next((name for name in wanted if keys[name]), None)
    if provider == "anthropic":
        from router.llm.anthropic_model import AnthropicModel  # noqa: PLC0415 - slow

        return AnthropicModel(settings, on_usage=on_usage)
    if provider == "openai":
        from router.llm.openai_model import OpenAIModel  # noqa: PLC0415 - slow

        return OpenAIModel(settings, on_usage=on_usage)
    return None
