"""Language models behind one port; optional everywhere."""

from router.llm.port import LanguageModel, LanguageModelError, Usage, UsageHook

__all__ = ["LanguageModel", "LanguageModelError", "Usage", "UsageHook"]
