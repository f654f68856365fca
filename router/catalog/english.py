"""English words and what is near them, from WordNet 3.0 (Princeton; ``english.LICENSE``).

``english.tsv.gz`` holds the synsets whose words are common: part of speech, ``lemma.rank`` words,
the line numbers of hypernyms, and ``lemma>line.lemma`` derivations; then, after empty lines, irregular
forms; then the names of countries, each with its adjective and ``=CODE``. ``ops/english_lexicon.py`` makes
it. It is read once, when a catalogue is loaded, and answers nothing per question.
"""

import gzip
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

SAME = 0.92
SENSE = 0.86
"""A word's second sense is meant less often than its first."""
DERIVED = 0.92
BROADER = 0.66
NARROWER = 0.74
WEIGHT_MIN = 0.36
SENSES_MAX = 7
_PARTICLES = frozenset(
    [
        "be",
        "have",
        "take",
        "make",
        "get",
        "go",
        "come",
        "do",
        "give",
        "put",
        "up",
        "out",
        "off",
        "down",
        "in",
        "on",
        "over",
        "away",
        "forth",
        "back",
        "by",
        "to",
        "at",
    ]
)
_DEPTH_MAX = 12


@dataclass(frozen=True, slots=True)
class Synset:
    """Words with one meaning; ``broader`` are line numbers of hypernyms."""

    pos: str
    words: tuple[tuple[str, int], ...]
    broader: tuple[int, ...]
    derived: tuple[tuple[str, int, str], ...]


class EnglishWords:
    """The lexicon. Immutable after loading; safe for threads."""

    def __init__(
        self, synsets: list[Synset], irregular: dict[str, str], places: list[tuple[str, ...]]
    ) -> None:
        self._synsets = synsets
        self.irregular = irregular
        self.places = places
        self._senses: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._narrower: dict[int, list[int]] = defaultdict(list)
        for index, synset in enumerate(synsets):
            for word, rank in synset.words:
                self._senses[word].append((rank, index))
            for above in synset.broader:
                self._narrower[above].append(index)

    def knows(self, word: str) -> bool:
        """Return True for a word of the lexicon in its base form."""
        return word in self._senses

    def base(self, word: str) -> tuple[str, ...]:
        """Return the base forms of ``word``, itself first where it is one."""
        forms = [word] if word in self._senses else []
        if word in self.irregular:
            forms.append(self.irregular[word])
        for ending, replacement in _ENDINGS:
            if word.endswith(ending):
                form = word[: -len(ending)] + replacement
                if form in self._senses:
                    forms.append(form)
                if form[-2:-1] == form[-1:] and form[:-1] in self._senses:
                    forms.append(form[:-1])
        return tuple(dict.fromkeys(forms)) or (word,)

    def related_words(self, word: str, pos: str = "nv") -> dict[str, float]:
        """Return words near ``word`` with a weight from 0.36 to 1; ``pos``: n, v, a."""
        weights: dict[str, float] = {word: 1.0}
        for form in self.base(word):
            weights.setdefault(form, 0.98)
            for weight, related_word in self._near(form, pos):
                if weight >= WEIGHT_MIN and weight > weights.get(related_word, 0):
                    weights[related_word] = weight
        return {
            related_word.replace("_", " "): round(weight, 3)
            for related_word, weight in weights.items()
            if not _PARTICLES & set(related_word.split("_")[:-1] if "_" in related_word else ())
            and related_word.rpartition("_")[2] not in (_PARTICLES if "_" in related_word else ())
        }

    def verbs(self, noun: str) -> Iterator[str]:
        """Yield the verbs that a noun is derived from: "buy" of "buyer"."""
        for _, index in self._senses.get(noun, ()):
            for source, target, form in self._synsets[index].derived:
                if source == noun and self._synsets[target].pos == "v":
                    yield form

    def is_person(self, word: str) -> bool:
        """Return True where the first sense of the noun is a person."""
        return self._is_a(word, "person")

    def is_adjective(self, word: str) -> bool:
        """Return True for a word with a sense as an adjective and none as a verb: "friendly"."""
        sorts = {
            self._synsets[index].pos
            for form in self.base(word)
            for _, index in self._senses.get(form, ())
        }
        return "a" in sorts and "v" not in sorts

    def _near(self, word: str, pos: str) -> Iterator[tuple[float, str]]:
        for rank, index in sorted(self._senses.get(word, ()))[:SENSES_MAX]:
            synset = self._synsets[index]
            if synset.pos not in pos:
                continue
            base = SENSE**rank
            yield from self._members(index, base * SAME)
            for above in synset.broader:
                yield from self._members(above, base * BROADER)
            verb = math.sqrt(base) if synset.pos == "v" else base
            for below in self._narrower[index]:
                yield from self._members(below, verb * NARROWER)
            yield from self._derivations(synset, word, base)

    def _members(self, index: int, weight: float) -> Iterator[tuple[float, str]]:
        for word, rank in self._synsets[index].words:
            yield weight * SENSE ** (rank / 2), word

    def _derivations(self, synset: Synset, word: str, base: float) -> Iterator[tuple[float, str]]:
        for source, target, form in synset.derived:
            weight = math.sqrt(base) * (DERIVED if source == word else DERIVED * SAME)
            yield weight, form
            yield from self._members(target, weight * SAME)
            if self._synsets[target].pos == "n" and synset.pos == "v":
                for below in self._narrower[target]:
                    yield from self._members(below, weight * NARROWER)

    def _is_a(self, word: str, target: str) -> bool:
        forms = [form for form in self.base(word) if form in self._senses]
        for form in forms:
            nouns = sorted(
                (rank, index)
                for rank, index in self._senses[form]
                if self._synsets[index].pos == "n"
            )
            if nouns and self._climbs(nouns[0][1], target):
                return True
        return False

    def _climbs(self, index: int, target: str) -> bool:
        seen, layer = set[int](), {index}
        for _ in range(_DEPTH_MAX):
            for synset_index in layer:
                if (target, 0) in self._synsets[synset_index].words:
                    return True
            seen |= layer
            layer = {
                up for synset_index in layer for up in self._synsets[synset_index].broader
            } - seen
        return False


_ENDINGS = (
    ("ies", "y"),
    ("ves", "f"),
    ("es", "e"),
    ("es", ""),
    ("s", ""),
    ("ied", "y"),
    ("ed", "e"),
    ("ed", ""),
    ("ing", "e"),
    ("ing", ""),
    ("men", "man"),
)


def load_english() -> EnglishWords:
    """Read the lexicon, which takes about 40 MB until it is dropped."""
    packed = files("router.catalog").joinpath("english.tsv.gz").read_bytes()
    synsets, irregular, places = gzip.decompress(packed).decode().split("\n\n")
    pairs = (line.split(" ") for line in irregular.splitlines())
    return EnglishWords(
        [_synset(line) for line in synsets.split("\n")],
        dict(pairs),
        [tuple(line.split("|")) for line in places.splitlines()],
    )


def _synset(line: str) -> Synset:
    pos, words, broader, derived = line.split("\t")
    return Synset(
        pos,
        tuple((word, int(rank)) for word, _, rank in (w.rpartition(".") for w in words.split())),
        tuple(int(number) for number in broader.split()),
        tuple(
            (source, int(number), form)
            for source, _, rest in (entry.partition(">") for entry in derived.split())
            for number, _, form in (rest.partition("."),)
        ),
    )
