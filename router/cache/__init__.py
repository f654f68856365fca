"""The semantic cache: same question, same answer, shared by all processes."""

from router.cache.memory_budget import CacheLimits
from router.cache.semantic_cache import CACHE_FAILURES, CacheEntry, CacheScope, SemanticCache

__all__ = ["CACHE_FAILURES", "CacheEntry", "CacheLimits", "CacheScope", "SemanticCache"]
