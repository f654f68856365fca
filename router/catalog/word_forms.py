"""Forms of a word that no dictionary lists: abbreviations, and derivations by their endings."""

from itertools import takewhile

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


def shares_stem(word: str, other: str) -> bool:
    """Return True for two derivations of one stem: "insurance" and "insurer"."""
    pairs = zip(word, other, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return same >= STEM_MIN and {word[same:], other[same:]} <= _ENDINGS
