"""A source as records, by its suffix. A bad line becomes a problem, never the end of the file."""

from collections.abc import Callable

from router.errors import RouterError
from router.ingest import check
from router.sources.base import RECORD_CHARS_MAX, Problem, Read, Source
from router.sources.prose import markdown, plain
from router.sources.tables import csv_rows, json_lines

_READERS: dict[str, Callable[[Source], Read]] = {
    ".md": markdown,
    ".markdown": markdown,
    ".txt": plain,
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".csv": csv_rows,
    ".tsv": csv_rows,
}
SUFFIXES = tuple(_READERS)


def records_of(source: Source) -> Read:
    """Records that every store can take, and the problems of those that it can't."""
    seen: set[str] = set()
    for item in _READERS[source.suffix](source):
        if isinstance(item, Problem):
            yield item
            continue
        place = f"{source.origin}: record {item.id!r}"
        try:
            check(item)
        except RouterError as error:
            yield Problem(source.origin, str(error))
            continue
        if len(item.text) > RECORD_CHARS_MAX:
            yield Problem(place, f"text is longer than {RECORD_CHARS_MAX} characters: split it")
        elif item.id in seen:
            yield Problem(place, "the id is used twice in this file: only the first is kept")
        else:
            seen.add(item.id)
            yield item
