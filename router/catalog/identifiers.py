"""Identifiers as words: ``OrderDate``, ``order_date`` and ``ord_dt`` are all "order date".

``abbreviations.json`` holds the abbreviations that mean one thing in any schema.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files

_ABBREVIATIONS: Mapping[str, str] = json.loads(
    files("router.catalog").joinpath("abbreviations.json").read_text("utf-8")
)

_BOUNDARY = re.compile(
    r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|[\W_]+"
)
_TABLE_PREFIXES = frozenset(
    ("tbl", "t", "tb", "dim", "fact", "fct", "stg", "vw", "v", "view", "mst", "ref", "lkp")
)
_ID_WORDS = frozenset(
    (
        "id",
        "ids",
        "key",
        "code",
        "cd",
        "no",
        "num",
        "nbr",
        "nr",
        "number",
        "fk",
        "pk",
        "uuid",
        "guid",
    )
)


@lru_cache(maxsize=65_536)
def words_of(identifier: str) -> tuple[str, ...]:
    """Return the lower-case words of an identifier, abbreviations written out."""
    parts = parts_of(identifier)
    return tuple(word for part in parts for word in _ABBREVIATIONS.get(part, part).split())


def parts_of(identifier: str) -> tuple[str, ...]:
    """Return the lower-case parts of an identifier as they are."""
    return tuple(part.lower() for part in _BOUNDARY.split(identifier) if part)


def phrase_of(identifier: str) -> str:
    """Return the words of an identifier, separated by blanks."""
    return " ".join(words_of(identifier))


def kind_phrases(name: str) -> tuple[str, ...]:
    """Return the phrases that name a table: ``tbl_cust`` is "customer", "cust" and "tbl cust"."""
    parts = parts_of(name.rpartition(".")[2])
    short = parts[1:] if len(parts) > 1 and parts[0] in _TABLE_PREFIXES else parts
    names = (phrase_of("_".join(short)), " ".join(short), phrase_of(name))
    return tuple(dict.fromkeys(names))


def without_id(
    identifier: str, split: Callable[[str], tuple[str, ...]] = words_of
) -> tuple[str, ...]:
    """Return the words of a key column's name without its ending: ``support rep``."""
    words = split(identifier)
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
