"""The semantic cache: same question, same answer, shared by all processes."""

from router.cache.semantic import CACHE_FAILURES, CacheLimits, Entry, Scope, SemanticCache

__all__ = ["CACHE_FAILURES", "CacheLimits", "Entry", "Scope", "SemanticCache"]
