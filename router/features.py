"""The features of a router: the guide's switches and figures (stages 1 to 3), as one frozen value."""

from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True, slots=True)
class Features:
    """Names and defaults are the guide's. Phase 4's two are live: the flag document can add them."""

    enable_semantic_classification: bool = True
    enable_query_rewriting: bool = True
    enable_analytics: bool = True
    enable_adaptive_routing: bool = True
    enable_graphrag: bool = True
    enable_semantic_cache: bool = True
    enable_result_fusion: bool = True
    bandit_alpha: float = 0.5
    cache_similarity_threshold: float = 0.95
    enable_complexity_analysis: bool = True
    enable_multi_router: bool = True
    enable_self_correction: bool = True
    enable_query_improvement: bool = True
    max_correction_retries: int = 2
    enable_feature_flags: bool = False
    enable_online_learning: bool = False
    online_learning_batch_size: int = 100
    online_learning_rate: float = 0.01


class FeatureParameters(TypedDict, total=False):
    """``Features`` as keyword arguments of QueryRouter."""

    enable_semantic_classification: bool
    enable_query_rewriting: bool
    enable_analytics: bool
    enable_adaptive_routing: bool
    enable_graphrag: bool
    enable_semantic_cache: bool
    enable_result_fusion: bool
    bandit_alpha: float
    cache_similarity_threshold: float
    enable_complexity_analysis: bool
    enable_multi_router: bool
    enable_self_correction: bool
    enable_query_improvement: bool
    max_correction_retries: int
    enable_feature_flags: bool
    enable_online_learning: bool
    online_learning_batch_size: int
    online_learning_rate: float
