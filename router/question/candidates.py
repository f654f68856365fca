"""The kinds that a question may ask for, with how much speaks for each before it is read."""

from collections.abc import Iterator
from dataclasses import dataclass

from router.catalog.model import Catalog
from router.catalog.paths import SchemaPaths
from router.catalog.vocabulary import Term, Vocabulary
from router.question.columns import ColumnFinder
from router.question.language.grammar import PREPOSITIONS, WHO, comparative, superlative
from router.question.language.mentions import Mentions, TermMention

HEAD, ASKED, OTHER = 0.7, 1.0, 0.15
"""Words that name the first kind; the kind behind "which"; any other kind."""
PERSON, OWNER = 0.45, 0.3
"""A kind of people behind "who"; the kind that holds a value of the question."""
FAR_END, STRANDED = 0.4, 0.75
"""The other end of a link that words name; the same where a preposition stays without its noun."""
CANDIDATES_MAX = 12


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind that may be asked for; ``mention`` are the words that say so."""

    kind: str
    prior: float
    mention: TermMention | None = None
    term: Term | None = None


class CandidateFinder:
    """Proposes kinds of one catalogue."""

    def __init__(
        self, catalog: Catalog, vocabulary: Vocabulary, paths: SchemaPaths, columns: ColumnFinder
    ) -> None:
        self._catalog = catalog
        self._vocabulary = vocabulary
        self._paths = paths
        self._columns = columns

    def candidates(self, mentions: Mentions) -> list[Candidate]:
        """Return the kinds, likeliest first."""
        best: dict[str, Candidate] = {}
        for each in self._proposed(mentions):
            before = best.get(each.kind)
            if before is None or before.prior < each.prior:
                best[each.kind] = each
        return sorted(best.values(), key=lambda each: -each.prior)[:CANDIDATES_MAX]

    def _proposed(self, mentions: Mentions) -> Iterator[Candidate]:
        head = self._head(mentions)
        for mention in mentions.terms:
            yield from self._named(mention, mentions, head)
        if mentions.tokens and any(token.folded in WHO for token in mentions.tokens[:6]):
            for kind in self._vocabulary.person_kinds:
                yield Candidate(kind, PERSON)
        yield from self._other_ends(mentions)
        yield from self._measured(mentions)
        for value in mentions.values:
            for entry in value.entries:
                yield Candidate(entry.kind, OWNER * entry.weight * (1.0 if entry.name else 0.8))

    def _named(
        self, mention: TermMention, mentions: Mentions, head: TermMention | None
    ) -> Iterator[Candidate]:
        for term in mention.terms:
            if term.sort in ("kind", "role"):
                prior = self._prior(mention, mentions, head) * term.weight
                yield Candidate(term.kind, prior, mention, term)
            elif term.sort == "column" and not term.link:
                yield Candidate(term.kind, OTHER * term.weight)

    def _measured(self, mentions: Mentions) -> Iterator[Candidate]:
        """Yield the kinds that have a column for a superlative: "the shortest"."""
        for token in mentions.tokens:
            graded = superlative(token.folded) or comparative(token.folded)
            if graded is not None and graded.dimension != "size":
                for kind, facts in self._catalog.visible_kinds.items():
                    if facts.store != "qdrant" and self._columns.dimension(kind, graded.dimension):
                        yield Candidate(kind, OTHER)

    def _other_ends(self, mentions: Mentions) -> Iterator[Candidate]:
        """Yield what "has X directed" and "X's support rep" ask for: the far end of a link."""
        owners = {entry.kind for value in mentions.values for entry in value.entries}
        if _is_stranded(mentions):
            for owner in owners:
                for step in self._paths.steps(owner):
                    yield Candidate(step.end, STRANDED)
        for name, (mention, weight) in mentions.links.items():
            link = self._catalog.visible_links[name]
            if link.relationship is None:
                prior = HEAD if not any(term.sort == "kind" for term in mention.terms) else OTHER
                yield Candidate(link.end, prior * weight, mention, Term("link", link.end, weight))
            elif link.start in owners:
                yield Candidate(link.end, FAR_END * weight)
            elif link.end in owners:
                yield Candidate(link.start, FAR_END * weight)

    def _head(self, mentions: Mentions) -> TermMention | None:
        """Return the first words that name a kind and stand for rows of it, not beside a value."""
        starts = {value.start for value in mentions.values}
        starts |= {number.start for number in mentions.comparisons if not number.marked}
        for mention in mentions.terms:
            if not any(term.sort in ("kind", "role") for term in mention.terms):
                continue
            before = mentions.tokens[mention.start - 1].folded if mention.start else ""
            two = mentions.tokens[mention.start - 2].folded if mention.start > 1 else ""
            governed = before in PREPOSITIONS or (
                before in ("the", "a", "an") and two in PREPOSITIONS
            )
            if mention.end in starts or (governed and two not in ("number", "count", "list")):
                continue
            return mention
        return None

    def _prior(self, mention: TermMention, mentions: Mentions, head: TermMention | None) -> float:
        before = [
            token.folded for token in mentions.tokens[max(mention.start - 3, 0) : mention.start]
        ]
        text = " ".join(before)
        asked = bool(before) and before[-1] in ("which", "what", "many")
        asked = asked or text.endswith(("number of", "count of", "count the", "count"))
        apposed = any(value.start == mention.end for value in mentions.values) or any(
            number.start == mention.end and not number.marked for number in mentions.comparisons
        )
        if asked and not apposed:
            return ASKED
        if any(superlative(word) for word in before[-1:]) and mention is head:
            return ASKED
        return HEAD if mention is head else OTHER


def _is_stranded(mentions: Mentions) -> bool:
    """Return True for "everything X appeared in": it asks for what X is linked to."""
    words = [token.folded for token in mentions.tokens if token.is_word]
    return len(words) > 1 and words[-1] in _STRANDED and words[0] in _WHATS


_STRANDED = frozenset(["in", "with", "on", "for", "to", "by", "from", "at", "of", "about"])
_WHATS = frozenset(
    ["what", "everything", "anything", "which", "who", "all", "whatever", "where", "whom"]
)
