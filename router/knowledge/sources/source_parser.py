"""A source as records, by its suffix. A bad line becomes a problem, never the end of the file."""

from collections.abc import Callable

from router.errors import RouterError
from router.knowledge.record_writer import validate_record
from router.knowledge.sources.base import RECORD_CHARS_MAX, ParsedItems, Source, SourceProblem
from router.knowledge.sources.prose import parse_markdown, parse_plain_text
from router.knowledge.sources.tables import parse_csv, parse_json_lines

_PARSERS: dict[str, Callable[[Source], ParsedItems]] = {
    ".md": parse_markdown,
    ".markdown": parse_markdown,
    ".txt": parse_plain_text,
    ".jsonl": parse_json_lines,
    ".ndjson": parse_json_lines,
    ".csv": parse_csv,
    ".tsv": parse_csv,
}
SUFFIXES = tuple(_PARSERS)


def parse_source(source: Source) -> ParsedItems:
    """Records that every store can take, and the problems of those that it can't."""
    seen: set[str] = set()
    for item in _PARSERS[source.suffix](source):
        if isinstance(item, SourceProblem):
            yield item
            continue
        place = f"{source.origin}: record {item.id!r}"
        try:
            validate_record(item)
        except RouterError as error:
            yield SourceProblem(source.origin, str(error))
            continue
        if len(item.text) > RECORD_CHARS_MAX:
            yield SourceProblem(
                place, f"text is longer than {RECORD_CHARS_MAX} characters: split it"
            )
        elif item.id in seen:
            yield SourceProblem(place, "the id is used twice in this file: only the first is kept")
        else:
            seen.add(item.id)
            yield item
