"""What readers take and give."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from router.errors import RouterError
from router.knowledge.records import Attribute, Record

CHUNK_CHARS = 1_200
"""About what the embedding model reads of a text (256 tokens); longer ones are split."""
RECORD_CHARS_MAX = 20_000
EMPTY_FILE = "the file is empty: nothing to ingest"
"""A problem and no source without records: an export that failed must not remove everything."""


class SourceError(RouterError):
    """A file or page can't be read at all; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text and where it is from: ``origin`` is a path or URL, ``suffix`` its kind (``.md``)."""

    origin: str
    suffix: str
    text: str


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that was left out, where, and why; the rest of the source is used."""

    location: str
    reason: str


ParsedItems = Iterator[Record | SourceProblem]


def slug(text: str) -> str:
    """``Rest times & breaks`` → ``rest-times-breaks``."""
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-") or "part"


def to_kind(text: str) -> str:
    """A word that may be a kind: ``Open invoices`` → ``open_invoice``."""
    word = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_") or "document"
    word = word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")
    return word if word[:1].isalpha() else f"k_{word}"


def short_digest(text: str) -> str:
    """Names what has no name of its own."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def parse_cell(text: str) -> Attribute | None:
    """A cell's value: whole number, number, truth value or text; None when it is empty.

    Numbers with a leading zero stay text (postcodes), and so does what only looks like a number
    to Python (``1_000``, ``nan``).
    """
    text = text.strip()
    if not text:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})", text):
        return int(text)
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})\.\d{1,15}", text):
        return float(text)
    return text


def split_chunks(text: str) -> list[str]:
    """Whole paragraphs up to ``CHUNK_CHARS`` together; a longer paragraph is cut between sentences."""
    pieces: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        for piece in _split_paragraph(paragraph.strip()):
            if pieces and len(pieces[-1]) + len(piece) + 2 <= CHUNK_CHARS:
                pieces[-1] += f"\n\n{piece}"
            elif piece:
                pieces.append(piece)
    return pieces


def _split_paragraph(paragraph: str) -> Iterator[str]:
    while len(paragraph) > CHUNK_CHARS:
        head = paragraph[:CHUNK_CHARS]
        ends = [found.end() for found in re.finditer(r"[.!?]\s|\s(?=\S*$)", head)]
        at = ends[-1] if ends else CHUNK_CHARS
        yield paragraph[:at].strip()
        paragraph = paragraph[at:]
    yield paragraph.strip()
