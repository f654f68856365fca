"""Forms of a word that no dictionary lists: inflections, abbreviations, derivations by endings."""

from collections.abc import Iterator, Mapping
from itertools import takewhile

from router.catalog.identifiers import singular

ABBREVIATION_MIN, STEM_MIN = 3, 5
_VOWELS = frozenset("aeiou")
_ENDINGS = frozenset(
    (
        *("", "e", "y", "s", "es", "er", "ers", "or", "ors", "ed", "d", "ing", "ive", "able"),
        *("ion", "tion", "ation", "ance", "ence", "ment", "ic", "ical", "al", "ant", "ent", "ist"),
    )
)


def abbreviates(part: str, word: str) -> bool:
    """Return True where ``part`` may stand for ``word``: its beginning, or its consonants."""
    if part[:1] != word[:1] or not ABBREVIATION_MIN <= len(part) < len(word) - 1:
        return False
    if word.startswith(part):
        return True
    letters = iter(word[1:])
    return not set(part[1:]) & _VOWELS and all(letter in letters for letter in part[1:])


def shares_stem(word: str, candidate: str) -> bool:
    """Return True for two derivations of one stem: "insurance" and "insurer"."""
    pairs = zip(word, candidate, strict=False)
    shared_length = sum(1 for _ in takewhile(lambda letters: letters[0] == letters[1], pairs))
    return (
        shared_length >= STEM_MIN and {word[shared_length:], candidate[shared_length:]} <= _ENDINGS
    )


def other_names(phrase: str) -> Iterator[str]:
    """Yield "maximum salary" for "max salary", and "birthday" for a date of birth."""
    first, _, rest = phrase.partition(" ")
    if "birth" in phrase.split():
        yield "birthday"
    if rest and first in _EXTREMES:
        yield f"{_EXTREMES[first]} {rest}"


_EXTREMES = {"max": "maximum", "min": "minimum", "avg": "average"}


def base_form(word: str, irregular: Mapping[str, str]) -> str:
    """Return a word in the form that its inflections share, which need not be a word itself."""
    word = irregular.get(word, word)
    if word.endswith("sis") and len(word) > len("basis"):
        return word.removesuffix("is")  # "diagnosis", as "diagnoses" becomes
    base = singular(word)
    if base != word:
        return _ending(base)
    for ending in ("ied", "ed", "ing"):
        if word.endswith(ending) and len(word) - len(ending) > len("ab"):
            stem = word[: -len(ending)] + ("y" if ending == "ied" else "")
            doubled = len(stem) > len("abc") and stem[-1] == stem[-2] and stem[-1] not in "lsz"
            return _ending(stem[:-1] if doubled else stem)
    return _ending(word)


def _ending(word: str) -> str:
    """Return a word in the form that its inflections share: "movi" for movie and movies."""
    if len(word) <= len("abc"):
        return word
    word = word.removesuffix("e")
    return f"{word[:-1]}i" if word.endswith("y") else word
