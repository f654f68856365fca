"""Words that are one edit away from a misspelt one."""

from collections import defaultdict
from collections.abc import Iterable

LETTERS_MIN = 4


class Spelling:
    """Known words by their deletions (SymSpell, Garbe 2012). Immutable after loading."""

    def __init__(self, words: Iterable[str]) -> None:
        self._known: dict[str, list[str]] = defaultdict(list)
        self._letters_max = 0
        for word in words:
            if len(word) >= LETTERS_MIN and not word.isdigit():
                self._letters_max = max(self._letters_max, len(word) + 1)
                for variant in deletions(word):
                    self._known[variant].append(word)

    def corrections(self, word: str) -> list[str]:
        """Return the known words that are one edit away from ``word``, or two letters swapped.

        A word that is longer than each of them costs nothing: its deletions need its length squared.
        """
        if not LETTERS_MIN <= len(word) <= self._letters_max:
            return []
        near = {known for variant in deletions(word) for known in self._known.get(variant, ())}
        return sorted(known for known in near if abs(len(known) - len(word)) <= 1 and known != word)


def deletions(word: str) -> set[str]:
    """Return the word and each form of it without one letter."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}
