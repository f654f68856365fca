"""Text that is safe to print: without control characters, which move cursors and forge lines."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#!~])")
_ALLOWED = "\n\t"
LINE_LENGTH_MAX = 500
_UNSAFE_CATEGORIES = ("Cc", "Cs")
_INVISIBLE = "Cf"
_DIRECTION_MARKS = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\u200e\u200f\u061c"
)

_UNPRINTABLE = re.compile(
    rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{''.join(sorted(_DIRECTION_MARKS))}]"
)


def unprintable_problem(text: str, *, one_line: bool = False) -> str:
    """Return the reason to refuse ``text``, or an empty text.

    Control characters, lone surrogates and marks that change the direction of writing are refused.
    ``one_line``: line breaks and tabs too.
    """
    for position, character in enumerate(text, start=1):
        allowed = "" if one_line else _ALLOWED
        if character not in allowed and is_unprintable(character):
            return (
                f"holds the control character U+{ord(character):04X} at position {position}; "
                "remove it"
            )
    return ""


def is_unprintable(character: str) -> bool:
    """Return True for a control character, a lone surrogate or a direction mark."""
    unsafe = unicodedata.category(character) in _UNSAFE_CATEGORIES
    return unsafe or character in _DIRECTION_MARKS


def escape_shown(text: str) -> str:
    """Return ``text`` as ``escape_unprintable`` does, fast for long pages without such characters."""
    return escape_unprintable(text) if _UNPRINTABLE.search(text) else text


def name_problem(text: str) -> str:
    """Return the reason to refuse ``text`` as a name: besides the above, invisible characters."""
    for position, character in enumerate(text, start=1):
        if is_unprintable(character) or unicodedata.category(character) == _INVISIBLE:
            return f"holds the invisible character U+{ord(character):04X} at position {position}"
    return ""


def fold_name(name: str) -> str:
    """Return the same text for all spellings of a name that people can't tell apart.

    Case, width and invisible characters do not count. Letters of different scripts do.
    """
    visible = (character for character in name if unicodedata.category(character) != _INVISIBLE)
    return unicodedata.normalize("NFKC", "".join(visible)).casefold()


def escape_unprintable(text: str, *, one_line: bool = False) -> str:
    """Return ``text`` with each unprintable character in Python's escaped form."""
    allowed = "" if one_line else _ALLOWED
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in allowed and is_unprintable(character)
        else character
        for character in text
    )


def escape_line(text: str) -> str:
    """Return ``text`` on one line that is safe to print."""
    return escape_unprintable(text, one_line=True)


def escape_markdown(text: str) -> str:
    """Return ``text`` as one line of Markdown that shows it literally."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", escape_line(" ".join(text.split())))


def _require_line(text: str) -> str:
    text = text.strip()
    if len(text) > LINE_LENGTH_MAX:
        raise ValueError(f"has {len(text):,} characters; shorten it to {LINE_LENGTH_MAX}")
    if problem := unprintable_problem(text, one_line=True):
        raise ValueError(problem)
    return text


def _require_title(text: str) -> str:
    if not (title := _require_line(text)):
        raise ValueError("is empty; write a text")
    return title


Line = Annotated[str, AfterValidator(escape_line)]
"""Text of a person that reaches terminals, git trailers and pages: escaped, not refused.

A signal of any client may carry it, and a refused one would be lost without an answer.
"""
PrintableLine = Annotated[str, AfterValidator(_require_line)]
"""Text of a plan on one line, or none: a line break or a control character is refused."""
Title = Annotated[str, AfterValidator(_require_title)]
"""A ``PrintableLine`` that is not empty."""
