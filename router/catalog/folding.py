"""Text in the form that names are matched in: any script, no case, no accents.

``C++``, ``C#`` and ``.NET`` keep their signs, and "Отпуск" is a word like any other.
"""

import re
import unicodedata
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:[+#]+(?!\w))?(?:['’]s\b)?")
_SPECIAL = str.maketrans({"ł": "l", "Ł": "l", "ø": "o", "Ø": "o", "đ": "d", "Đ": "d", "æ": "ae"})
_POSSESSIVE = re.compile(r"['’]s$")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w(?!\b))")


@lru_cache(maxsize=65_536)
def fold_word(word: str) -> str:
    """Return one word without case and accents, a possessive ending removed."""
    word = _POSSESSIVE.sub("", word)
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.translate(_SPECIAL))
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).casefold()


def fold_text(text: str) -> str:
    """Return the folded words of ``text``, separated by one blank; ``O'Reilly`` is one word."""
    words = WORD.findall(_APOSTROPHE.sub("", text))
    if text.isascii():  # no Python per word: an apostrophe is left in possessive endings only
        return " ".join(words).lower().replace("'s", "")
    return " ".join(map(fold_word, words))
