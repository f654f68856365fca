"""Terms for words that the vocabulary lacks, by the cosine of their embeddings.

The names of kinds, columns and links are embedded once; a word of a question when it is first seen.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

import numpy as np

from router.catalog.identifiers import phrase_of
from router.catalog.model import Catalog
from router.catalog.vocabulary import Term
from router.embedding import Embedder

COSINE_MIN = 0.4
"""Unrelated words reach 0.3 with the local model."""
KIND_COSINE_MIN = 0.33
PHRASE_COSINE_MIN = 0.5
DOUBT = 0.8
"""Factor of a cosine: a near word is weaker evidence than a name."""
KINDS_MAX, OTHERS_MAX = 10, 2
WORDS_KEPT = 4096


class NearWords:
    """Looks words up by meaning. Safe for threads."""

    def __init__(self, catalog: Catalog, embedder: Embedder) -> None:
        self._embedder = embedder
        phrases_and_terms = list(_catalog_phrases(catalog))
        self._terms = [term for _, term in phrases_and_terms]
        self._vectors = embedder.embed([phrase for phrase, _ in phrases_and_terms])
        self._links = {
            end: (
                terms,
                embedder.embed(
                    [f"{phrase_of(t.link.split('.')[-2])} a {phrase_of(end)}" for t in terms]
                ),
            )
            for end, terms in _ends(catalog).items()
        }
        self._known: OrderedDict[str, tuple[Term, ...]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, words: Sequence[str]) -> Mapping[str, Sequence[Term]]:
        """Return the terms near each word, nearest first; none for a word far from all."""
        with self._lock:
            missing = [word for word in dict.fromkeys(words) if word not in self._known]
        if missing and self._terms:
            for word, vector in zip(missing, self._embedder.embed(missing), strict=True):
                self._keep(word, self._nearest(self._vectors @ vector))
        with self._lock:
            return {word: self._known.get(word, ()) for word in words}

    def links(self, phrases: Mapping[str, str], end: str) -> Mapping[str, Sequence[Term]]:
        """Return the relationships to ``end`` near each word; ``phrases`` are words in context.

        "starring in a movie" is compared with "acted in a movie" and "directed a movie".
        """
        links = self._links.get(end)
        if links is None or not phrases:
            return {}
        terms, vectors = links
        texts = [f"{phrase} a {phrase_of(end)}" for phrase in phrases.values()]
        cosines = self._embedder.embed(texts) @ vectors.T
        return {
            word: tuple(
                Term(term.sort, term.kind, round(float(row[index]) * DOUBT, 3), link=term.link)
                for index, term in enumerate(terms)
                if row[index] >= PHRASE_COSINE_MIN
            )
            for word, row in zip(phrases, cosines, strict=True)
        }

    def _keep(self, word: str, terms: tuple[Term, ...]) -> None:
        with self._lock:
            self._known[word] = terms
            while len(self._known) > WORDS_KEPT:
                self._known.popitem(last=False)

    def _nearest(
        self, cosines: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"
    ) -> tuple[Term, ...]:
        terms: list[Term] = []
        counts = dict.fromkeys(("kind", "column", "link"), 0)
        for index in np.argsort(-cosines):
            cosine, term = float(cosines[index]), self._terms[index]
            if cosine < KIND_COSINE_MIN:
                break
            if cosine < COSINE_MIN and term.sort != "kind":
                continue
            limit = KINDS_MAX if term.sort == "kind" else OTHERS_MAX
            if counts[term.sort] < limit:
                counts[term.sort] += 1
                terms.append(
                    Term(term.sort, term.kind, round(cosine * DOUBT, 3), term.column, term.link)
                )
        return tuple(terms)


def _ends(catalog: Catalog) -> dict[str, list[Term]]:
    """Return the relationships by the kind that they lead to, where there are several."""
    links_by_end: dict[str, list[Term]] = {}
    for link in catalog.visible_links.values():
        if link.relationship:
            term = Term("link", link.start, 1.0, link=link.id)
            links_by_end.setdefault(link.end, []).append(term)
    return {end: terms for end, terms in links_by_end.items() if len(terms) > 1}


def _catalog_phrases(catalog: Catalog) -> Iterator[tuple[str, Term]]:
    for name, kind in catalog.visible_kinds.items():
        if kind.store == "qdrant" or kind.join_table:
            continue
        for phrase in dict.fromkeys((phrase_of(name), *kind.words)):
            yield phrase, Term("kind", name, 1.0)
        for column in kind.visible:
            yield phrase_of(column), Term("column", name, 1.0, column)
    for link in catalog.visible_links.values():
        if link.relationship:
            yield phrase_of(link.name), Term("link", link.start, 1.0, link=link.id)
