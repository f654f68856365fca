"""Files and pages as records: Markdown, plain text, JSON lines, CSV."""

from router.sources.base import Problem, Source, SourceError
from router.sources.fetch import find, load, origin_of
from router.sources.read import SUFFIXES, records_of

__all__ = [
    "SUFFIXES",
    "Problem",
    "Source",
    "SourceError",
    "find",
    "load",
    "origin_of",
    "records_of",
]
