"""Records of a source, by its suffix. A bad line becomes a problem, never the end of the file."""

from collections.abc import Callable, Iterator

from router.errors import RouterError
from router.knowledge.record_validation import validate_record
from router.knowledge.records import Record
from router.knowledge.sources.csv_table import parse_csv
from router.knowledge.sources.json_lines import parse_json_lines
from router.knowledge.sources.markdown import parse_markdown
from router.knowledge.sources.plain_text import parse_plain_text
from router.knowledge.sources.source import (
    ParsedItem,
    ParsedItems,
    ReadOptions,
    Source,
    SourceNote,
    SourceProblem,
)

_PARSERS: dict[str, Callable[[Source, ReadOptions], ParsedItems]] = {
    ".md": parse_markdown,
    ".markdown": parse_markdown,
    ".txt": parse_plain_text,
    ".jsonl": parse_json_lines,
    ".ndjson": parse_json_lines,
    ".json": parse_json_lines,
    ".csv": parse_csv,
    ".tsv": parse_csv,
}
SUFFIXES = tuple(_PARSERS)


def parse_source(source: Source, options: ReadOptions | None = None) -> ParsedItems:
    """Yield records that every store can take, and problems for what they cannot."""
    for note in source.notes:
        yield SourceNote(source.origin, note)
    for item in _PARSERS[source.suffix](source, options or ReadOptions()):
        yield from _validate_item(source, item)


def _validate_item(source: Source, item: ParsedItem) -> Iterator[ParsedItem]:
    if isinstance(item, Record):
        try:
            validate_record(item)
        except RouterError as error:
            yield SourceProblem(source.origin, str(error))
            return
    yield item
