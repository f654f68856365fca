"""Makes ``router/catalog/english.tsv.gz`` from WordNet 3.0 and the list of countries of tzdata.

python -m ops.english_lexicon DICT COUNTRIES FILE

``DICT`` is WordNet's folder of ``data.noun`` and its like (Debian: ``wordnet-base`` 1:3.0, in
``/usr/share/wordnet``). ``COUNTRIES`` is ``/usr/share/zoneinfo/iso3166.tab``. A word is common where the
vocabulary of the local embedding model has it whole. The same inputs give the same bytes.
"""

import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

VOCABULARY = Path(__file__).parent.parent / "router" / "embedding_vocab.json"

_POS = {"n": "noun", "v": "verb", "a": "adj"}
RANK_MAX, WORDS_MAX, CLIMB_MAX = 6, 2, 3
_ABOVE = ("@", "@i")
_DERIVED = ("+", "\\")
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Pointer:
    """A pointer of one synset: ``source`` and ``target`` number words from 1, 0 for the synset."""

    symbol: str
    key: Key
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class _WordNet:
    """The database: words and pointers of each synset, and the rank of each sense of a word."""

    words: Mapping[Key, list[str]]
    pointers: Mapping[Key, list[_Pointer]]
    ranks: Mapping[tuple[str, Key], int]


def main(folder: Path, countries: Path, file: Path) -> None:
    """Write the lexicon."""
    common = {
        word for word in json.loads(VOCABULARY.read_text("utf-8")) if not word.startswith("##")
    }
    wordnet = _read(folder)
    parts = (_synsets(wordnet, common), _irregular(folder, common), _places(wordnet, countries))
    text = "\n\n".join("\n".join(lines) for lines in parts) + "\n"
    with gzip.GzipFile(file, "wb", mtime=0) as packed:
        packed.write(text.encode())


def _read(folder: Path) -> _WordNet:
    ranks: dict[tuple[str, Key], int] = {}
    words: dict[Key, list[str]] = {}
    pointers: dict[Key, list[_Pointer]] = {}
    for pos, name in _POS.items():
        for line in _lines(folder / f"index.{name}"):
            lemma, *fields = line.split()
            for rank, offset in enumerate(fields[5 + int(fields[2]) :]):
                ranks[lemma, (pos, offset)] = rank
        for line in _lines(folder / f"data.{name}"):
            offset, found, pointed = _synset(line)
            words[pos, offset], pointers[pos, offset] = found, pointed
    return _WordNet(words, pointers, ranks)


def _lines(path: Path) -> Iterator[str]:
    return (line for line in path.read_text("utf-8").splitlines() if not line.startswith(" "))


def _synset(line: str) -> tuple[str, list[str], list[_Pointer]]:
    """Read one line of a data file (the format is wndb(5WN))."""
    fields = line.split("|", maxsplit=1)[0].split()
    count = int(fields[3], 16)
    words = [fields[4 + 2 * place].split("(")[0] for place in range(count)]
    start = 5 + 2 * count
    pointers = []
    for place in range(int(fields[start - 1])):
        symbol, offset, pos, ends = fields[start + 4 * place : start + 4 * place + 4]
        key = ("a" if pos == "s" else pos, offset)
        source, target = bytes.fromhex(ends)
        pointers.append(_Pointer(symbol, key, source, target))
    return fields[0], words, pointers


def _synsets(wordnet: _WordNet, common: set[str]) -> Iterator[str]:
    kept = dict(_common_synsets(wordnet, common))
    number = {key: place for place, key in enumerate(kept)}
    for key, words in kept.items():
        fields = (
            key[0],
            " ".join(f"{word}.{rank}" for word, rank in words),
            " ".join(map(str, _broader(wordnet, key, number))),
            " ".join(_derivations(wordnet, key, kept, number)),
        )
        yield "\t".join(fields)


def _common_synsets(
    wordnet: _WordNet, common: set[str]
) -> Iterator[tuple[Key, list[tuple[str, int]]]]:
    for key, words in wordnet.words.items():
        ranked = [
            (word, wordnet.ranks[word, key])
            for word in words
            if (word, key) in wordnet.ranks and _is_common(word, common)
        ]
        ranked = [(word, rank) for word, rank in ranked if rank <= RANK_MAX]
        if ranked:
            yield key, ranked


def _is_common(word: str, common: set[str]) -> bool:
    parts = word.split("_")
    letters = word == word.lower() and "".join(parts).isalpha() and len(parts) <= WORDS_MAX
    return letters and set(parts) <= common


def _broader(wordnet: _WordNet, key: Key, number: Mapping[Key, int]) -> list[int]:
    """Return the hypernyms; of a noun whose own were dropped, the nearest that were not."""
    above = [each.key for each in wordnet.pointers[key] if each.symbol in _ABOVE]
    for _ in range(CLIMB_MAX + 1):
        found = [number[each] for each in above if each in number]
        if found or key[0] != "n":
            return found
        above = [up.key for each in above for up in wordnet.pointers[each] if up.symbol in _ABOVE]
    return []


def _derivations(
    wordnet: _WordNet,
    key: Key,
    kept: Mapping[Key, list[tuple[str, int]]],
    number: Mapping[Key, int],
) -> Iterator[str]:
    own = {word for word, _ in kept[key]}
    for each in wordnet.pointers[key]:
        if (
            each.symbol not in _DERIVED
            or each.key not in number
            or not (each.source and each.target)
        ):
            continue
        source = wordnet.words[key][each.source - 1].lower()
        target = wordnet.words[each.key][each.target - 1].lower()
        if source in own and target in {word for word, _ in kept[each.key]}:
            yield f"{source}>{number[each.key]}.{target}"


def _irregular(folder: Path, common: set[str]) -> Iterator[str]:
    found: dict[str, str] = {}
    for name in _POS.values():
        for line in _lines(folder / f"{name}.exc"):
            form, base, *_ = line.split()
            if form in common and base in common and form != base:
                found.setdefault(form, base)
    return (f"{form} {base}" for form, base in found.items())


def _places(wordnet: _WordNet, countries: Path) -> Iterator[str]:
    """Yield the names of each country, its adjectives, and ``=CODE`` of ISO 3166."""
    codes, pertaining = dict(_country_codes(countries)), _pertaining(wordnet)
    groups = [[code, *names] for code, names in codes.items()]
    taken: set[str] = set()
    for key in wordnet.words:
        if not _is_country(wordnet, key):
            continue
        names = list(dict.fromkeys(_names(wordnet, key, pertaining)))
        group = next((g for g in groups if {n for n in g if g[0] not in taken} & set(names)), None)
        if group is None:
            groups.append(["", *names])
        else:
            taken.add(group[0])
            group[1:] = dict.fromkeys((*names, *group[1:]))
    for code, *names in groups:
        if code or len(names) > 1:
            yield "|".join([*names, f"={code}"] if code else names)


def _country_codes(path: Path) -> Iterator[tuple[str, list[str]]]:
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            code, name = line.split("\t")
            yield code, [_SPELLED.get(name, name.replace("&", "and")), *_ALSO.get(code, ())]


_ALSO = {"CZ": ("Czechia", "Czech"), "GB": ("British",), "NL": ("Netherlands",)}
_SPELLED = {
    "Britain (UK)": "United Kingdom",
    "Congo (Dem. Rep.)": "Democratic Republic of the Congo",
    "Congo (Rep.)": "Congo",
    "Korea (North)": "North Korea",
    "Korea (South)": "South Korea",
    "Myanmar (Burma)": "Myanmar",
    "Eswatini (Swaziland)": "Swaziland",
    "Samoa (western)": "Samoa",
    "Virgin Islands (UK)": "British Virgin Islands",
    "Virgin Islands (US)": "United States Virgin Islands",
}


def _is_country(wordnet: _WordNet, key: Key) -> bool:
    """Return True for an instance of "country" or of a narrower noun that ends so."""
    if key[0] != "n":
        return False
    above = [each.key for each in wordnet.pointers[key] if each.symbol == "@i"]
    return any(_leads_to_country(wordnet, each) for each in above)


def _leads_to_country(wordnet: _WordNet, key: Key) -> bool:
    if any(word.rpartition("_")[2] == "country" for word in wordnet.words[key]):
        return True
    above = [each.key for each in wordnet.pointers[key] if each.symbol == "@"]
    return any("country" in wordnet.words[each] for each in above)


def _names(wordnet: _WordNet, key: Key, pertaining: Mapping[Key, list[str]]) -> Iterator[str]:
    yield from (word.replace("_", " ") for word in wordnet.words[key])
    for each in wordnet.pointers[key]:
        if each.symbol == "+":
            yield from _capitalized(wordnet.words[each.key][each.target - 1 : each.target])
    yield from sorted(set(pertaining.get(key, ())))


def _pertaining(wordnet: _WordNet) -> Mapping[Key, list[str]]:
    """Return the capitalized words that are derived from each synset."""
    found: dict[Key, list[str]] = defaultdict(list)
    for key, pointers in wordnet.pointers.items():
        for each in pointers:
            if each.symbol in _DERIVED:
                place = max(each.source - 1, 0)
                found[each.key] += _capitalized(wordnet.words[key][place : place + 1])
    return found


def _capitalized(words: Iterable[str]) -> Iterator[str]:
    return (word.replace("_", " ") for word in words if word[:1].isupper())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
