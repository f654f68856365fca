"""Pieces of a text, each as long as the embedding model reads."""

import re
from collections.abc import Iterable, Iterator

CHUNK_CHARS = 1_200
"""About what the embedding model reads of a text (256 tokens)."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")  # noqa: RUF001 - full-width marks


def split_chunks(text: str) -> list[str]:
    """Return pieces of whole paragraphs. A longer paragraph is cut between sentences."""
    return pack_blocks(re.split(r"\n\s*\n", text.strip()))


def pack_blocks(blocks: Iterable[str]) -> list[str]:
    """Return pieces of whole blocks, each at most ``CHUNK_CHARS`` long."""
    pieces: list[str] = []
    for block in blocks:
        for part in _split_block(block.strip("\n")):
            if pieces and len(pieces[-1]) + len(part) + 2 <= CHUNK_CHARS:
                pieces[-1] += f"\n\n{part}"
            elif part.strip():
                pieces.append(part)
    return pieces


def _split_block(block: str) -> Iterator[str]:
    """Cut a long block between lines, sentences, words, or at last anywhere."""
    if len(block) <= CHUNK_CHARS:
        yield block
        return
    lines = block.split("\n")
    if len(lines) > 1:
        yield from _join(lines, "\n")
        return
    sentences = [part for part in _SENTENCE_END.split(block) if part]
    if len(sentences) > 1:
        yield from _join(sentences, " ")
        return
    words = block.split(" ")
    if len(words) > 1:
        yield from _join(words, " ")
        return
    for start in range(0, len(block), CHUNK_CHARS):
        yield block[start : start + CHUNK_CHARS]


def _join(parts: list[str], separator: str) -> Iterator[str]:
    """Join as many parts as fit. A part that is too long by itself is cut further."""
    piece = ""
    for part in parts:
        if piece and len(piece) + len(separator) + len(part) > CHUNK_CHARS:
            yield piece
            piece = ""
        if len(part) > CHUNK_CHARS:
            *full, piece = _split_block(part)
            yield from full
        else:
            piece = f"{piece}{separator}{part}" if piece else part
    if piece:
        yield piece
