"""Rewriting of questions: normalisation, spelling, decomposition, improvement."""

from router.rewrite.decomposition import decompose, extract_keywords
from router.rewrite.normalization import (
    Lexicon,
    correct_spelling,
    normalize,
    preserves_meaning,
    strip_markup,
)
from router.rewrite.rewriter import QueryRewriter, Rewrite, RewriteSettings

__all__ = [
    "Lexicon",
    "QueryRewriter",
    "Rewrite",
    "RewriteSettings",
    "correct_spelling",
    "decompose",
    "extract_keywords",
    "normalize",
    "preserves_meaning",
    "strip_markup",
]
