"""Identifiers as words: ``SupportRepId`` and ``support_rep_id`` are both "support rep id"."""

import re
from functools import lru_cache

_BOUNDARY = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|[\W_]+"
)
_ID_WORDS = frozenset(
    ("id", "ids", "key", "code", "no", "nr", "number", "fk", "pk", "uuid", "guid")
)


@lru_cache(maxsize=65_536)
def words_of(identifier: str) -> tuple[str, ...]:
    """Return the lower-case words of an identifier."""
    return tuple(part.lower() for part in _BOUNDARY.split(identifier) if part)


def phrase_of(identifier: str) -> str:
    """Return the words of an identifier, separated by blanks."""
    return " ".join(words_of(identifier))


def without_id(identifier: str) -> tuple[str, ...]:
    """Return the words of a key column's name without its ending: ``support rep``."""
    words = words_of(identifier)
    while len(words) > 1 and words[-1] in _ID_WORDS:
        words = words[:-1]
    if len(words) == 1 and len(words[0]) > len("id") + 1 and words[0].endswith("id"):
        return (words[0][: -len("id")],)
    return words


def singular(word: str) -> str:
    """Return an English noun without its plural ending; other words come back as they are."""
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + replacement
    if word.endswith("shes"):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > len("gas"):
        return word[:-1]
    return word
