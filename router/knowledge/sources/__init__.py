"""Files and pages as records: Markdown, plain text, JSON lines, CSV."""

from router.knowledge.sources.base import Source, SourceError, SourceProblem
from router.knowledge.sources.loader import find_sources, load_source, normalize_origin
from router.knowledge.sources.source_parser import SUFFIXES, parse_source

__all__ = [
    "SUFFIXES",
    "Source",
    "SourceError",
    "SourceProblem",
    "find_sources",
    "load_source",
    "normalize_origin",
    "parse_source",
]
