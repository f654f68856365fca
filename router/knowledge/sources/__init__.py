"""Files and pages as records: Markdown, text, JSON lines, tables, PDF, DOCX and HTML."""

from router.knowledge.sources.loader import (
    SUFFIXES,
    SkippedFile,
    count_unread,
    find_sources,
    is_url,
    load_source,
    normalize_origin,
)
from router.knowledge.sources.parser import parse_source
from router.knowledge.sources.source import (
    ParsedItem,
    ReadOptions,
    Source,
    SourceError,
    SourceNote,
    SourceProblem,
)

__all__ = [
    "SUFFIXES",
    "ParsedItem",
    "ReadOptions",
    "SkippedFile",
    "Source",
    "SourceError",
    "SourceNote",
    "SourceProblem",
    "count_unread",
    "find_sources",
    "is_url",
    "load_source",
    "normalize_origin",
    "parse_source",
]
