"""Language models behind one port; optional everywhere."""

from router.llm.anthropic_model import AnthropicModel
from router.llm.openai_model import OpenAIModel
from router.llm.port import LanguageModel, LanguageModelError, Tokens, Usage, UsageHook
from router.llm.settings import LLMSettings, Price

__all__ = [
    "AnthropicModel",
    "LLMSettings",
    "LanguageModel",
    "LanguageModelError",
    "OpenAIModel",
    "Price",
    "Tokens",
    "Usage",
    "UsageHook",
    "from_settings",
]


def from_settings(
    settings: LLMSettings, *, on_usage: UsageHook | None = None
) -> AnthropicModel | OpenAIModel | None:
    """The configured model, or None: without a key, queries are served without one."""
    keys = {"anthropic": settings.anthropic_api_key, "openai": settings.openai_api_key}
    wanted = [settings.provider] if settings.provider else list(keys)
    provider = next((name for name in wanted if keys[name]), None)
    if provider == "anthropic":
        return AnthropicModel(settings, on_usage=on_usage)
    return OpenAIModel(settings, on_usage=on_usage) if provider == "openai" else None
