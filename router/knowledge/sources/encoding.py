"""The encoding of a file's bytes: a byte order mark, UTF-8, or a detected one."""

import codecs
import re
from collections.abc import Iterable

_SAMPLE_BYTES = 1 << 18
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252"
_WESTERN_SHARE_MAX = 0.5
"""Above this share of accented letters a text is hardly a Western European one."""


def detect_encoding(chunks: Iterable[bytes]) -> str | None:
    """Return Python's name of the encoding, or None where the bytes are not a text.

    ``chunks`` are the bytes in order. All of them are checked as UTF-8.
    """
    sample, at_first = b"", True
    decoder = codecs.getincrementaldecoder("utf-8")()
    valid = True
    for chunk in chunks:
        if at_first:
            at_first = False
            for mark, name in _MARKS:
                if chunk.startswith(mark):
                    return name
        valid = valid and _decodes(decoder, chunk)
        if not valid or len(sample) < _SAMPLE_BYTES:
            sample += chunk
        if not valid and len(sample) >= _SAMPLE_BYTES:
            break
    if valid and _decodes(decoder, b"", final=True):
        return _wide_encoding(sample) or "utf-8"
    return _guess(sample)


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _wide_encoding(sample: bytes) -> str | None:
    """Return UTF-16 without a byte order mark: every second byte of a Latin text is NUL."""
    half = len(sample) // 2
    high, low = (sample[at : 2 * half : 2].count(0) for at in (0, 1))
    if min(high, low) or 2 * max(high, low) < half or not half:
        return None
    return "utf-16-be" if high else "utf-16-le"


def _guess(sample: bytes) -> str | None:
    if wide := _wide_encoding(sample):
        return wide
    if _looks_western(sample):
        return _WESTERN
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only files that need it pay for it

    best = from_bytes(sample).best()
    return best.encoding if best else None


def _looks_western(sample: bytes) -> bool:
    """Return True for a text of mostly plain letters: short ones mislead a detector."""
    if b"\0" in sample:
        return False
    try:
        text = sample.decode(_WESTERN)
    except UnicodeDecodeError:
        return False
    letters = re.findall(r"[^\W\d_]", text)
    accented = sum(not letter.isascii() for letter in letters)
    return bool(letters) and accented / len(letters) < _WESTERN_SHARE_MAX
