"""Questions made easier to answer: normalised, spelled right, taken apart, improved."""

from router.rewrite.parts import broaden, split
from router.rewrite.rewriter import QueryRewriter, Rewrite, RewriteSettings
from router.rewrite.text import Lexicon, correct, faithful, normalise, plain

__all__ = [
    "Lexicon",
    "QueryRewriter",
    "Rewrite",
    "RewriteSettings",
    "broaden",
    "correct",
    "faithful",
    "normalise",
    "plain",
    "split",
]
