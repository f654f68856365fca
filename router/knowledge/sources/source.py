"""Sources, and the items that a parser yields for one."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from router.errors import RouterError
from router.knowledge.records import Record

LINE_CHARS_MAX = 16 * 1024 * 1024
EMPTY_FILE = "the file is empty: nothing to ingest"
"""A problem and no source without records: an export that failed must not remove everything."""


class SourceError(RouterError):
    """A file or page that cannot be read at all. The message names it and the fix."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Choices of the person who ingests.

    ``id_column`` names the column or field that identifies a row. ``date_format`` is ``dmy``,
    ``mdy``, ``ymd`` or a ``strptime`` format, for dates that fit more than one order. ``encoding``
    replaces detection. ``decimal`` is ``point`` or ``comma``, for numbers that fit both.
    """

    id_column: str = ""
    date_format: str = ""
    encoding: str = ""
    decimal: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A text and its place.

    ``origin`` is a path or URL, and ``suffix`` the format (``.md``). ``content`` is the text itself,
    or the file that holds it in ``encoding``. ``notes`` are remarks of the loader.
    """

    origin: str
    suffix: str
    content: str | Path
    encoding: str = "utf-8"
    notes: tuple[str, ...] = field(default=())

    def open_text(self) -> TextIO:
        """Open the text. Only line feed, carriage return, or both end a line."""
        if isinstance(self.content, str):
            return io.StringIO(self.content, newline=None)
        return self.content.open(encoding=self.encoding, errors="replace")

    def read_text(self) -> str:
        """Return the whole text."""
        with self.open_text() as text:
            return text.read()

    def lines(self) -> Iterator[tuple[int, str | None]]:
        """Yield each line's number (from 1) and its text without the line end.

        The text is None where a line is longer than ``LINE_CHARS_MAX``.
        """
        with self.open_text() as text:
            number = 0
            while line := text.readline(LINE_CHARS_MAX):
                number += 1
                is_whole = len(line) < LINE_CHARS_MAX or line.endswith("\n")
                yield number, line.rstrip("\n") if is_whole else None
                while not is_whole:
                    rest = text.readline(LINE_CHARS_MAX)
                    is_whole = not rest or rest.endswith("\n")


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that was left out, its place, and the reason. The rest of the source is used."""

    location: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceNote:
    """A decision about a source that left nothing out, such as its encoding."""

    location: str
    text: str


ParsedItem = Record | SourceProblem | SourceNote
ParsedItems = Iterator[ParsedItem]
