"""Plain text: the first line is the title, the rest goes in pieces of whole paragraphs."""

from router.knowledge.records import Link, Record
from router.knowledge.sources.chunks import split_chunks
from router.knowledge.sources.source import (
    EMPTY_FILE,
    ParsedItems,
    ReadOptions,
    Source,
    SourceProblem,
)

TITLE_CHARS_MAX = 120


def parse_plain_text(source: Source, _options: ReadOptions) -> ParsedItems:
    """Yield the document with its first piece, and a record for each later piece."""
    text = source.read_text()
    lines = text.strip().split("\n")
    if not lines[0]:
        yield SourceProblem(source.origin, EMPTY_FILE)
        return
    title = lines[0].strip()[:TITLE_CHARS_MAX]
    first, *rest = split_chunks(text)
    yield Record(source.origin, "document", title, first, source.origin)
    link = Link("PART_OF", source.origin)
    for number, piece in enumerate(rest, start=1):
        place = f"{source.origin}#part" + (f".{number}" if number > 1 else "")
        yield Record(place, "document_part", title, piece, place, {}, (link,))
