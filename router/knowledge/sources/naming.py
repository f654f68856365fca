"""Names made from headings, file names and column headers."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_SIGN_WORDS = {"%": " percent ", "#": " number ", "&": " and ", "€": " euro ", "$": " dollar ", "£": " pound ", "¥": " yen "}  # fmt: skip
_RESERVED_KINDS = frozenset({"name", "record"})
"""Labels of the graph's own nodes."""


def slug(text: str) -> str:
    """Return ``rest-times-breaks`` for ``Rest times & breaks``."""
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-") or "part"


@lru_cache(1024)
def to_kind(text: str) -> str:
    """Return the kind of the records in a file of this name: ``Open invoices`` → ``open_invoice``.

    A kind has ASCII letters, digits and ``_``. Accents are taken off. A name that is left with no
    letter gives ``document``.
    """
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain)
    if not any(word[:1].isalpha() for word in words):
        return "document"
    kind = "_".join([*words[:-1], _singular(words[-1])])[:63]
    kind = kind if kind[:1].isalpha() else f"k_{kind}"[:63]
    return f"{kind}_item" if kind in _RESERVED_KINDS else kind


def _singular(word: str) -> str:
    from lemminflect import (  # type: ignore[import-untyped]  # noqa: PLC0415 - it ships no types, and its tables take a second
        getLemma,
    )

    lemmas = getLemma(word, "NOUN")
    return str(lemmas[0]) if lemmas and re.fullmatch(r"[a-z0-9_]+", lemmas[0]) else word


def short_digest(text: str) -> str:
    """Return a name of 12 characters for content that has no name of its own."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def column_names(headers: Iterable[str]) -> list[str]:
    """Return an attribute name for each header, all different. Letters of any script are kept.

    ``Due date`` → ``due_date``, ``Price (%)`` → ``price_percent``, an empty third one → ``column_3``.
    """
    names: list[str] = []
    for position, header in enumerate(headers, start=1):
        text = "".join(_SIGN_WORDS.get(sign, sign) for sign in header.strip().lower())
        name = re.sub(r"[^\w]+", "_", text).strip("_") or f"column_{position}"
        repeats = sum(earlier == name or earlier.rpartition("_")[0] == name for earlier in names)
        while name in names:
            repeats += 1
            name = f"{name}_{repeats}"
        names.append(name)
    return names


def with_unit(name: str, unit: str, taken: Iterable[str]) -> str:
    """Return the name of a column whose cells all have a unit: ``share`` and ``%`` → ``share_percent``."""
    word = _SIGN_WORDS.get(unit, unit).strip().lower()
    longer = f"{name}_{word}"
    return name if word in name.split("_") or longer in taken else longer
