"""Words that the vocabulary lacks, looked up by their meaning and in their context."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from router.catalog.model import Catalog
from router.catalog.vocabulary import Term
from router.question.language.grammar import PREPOSITIONS
from router.question.language.mentions import Mentions, by_place
from router.question.language.near import NearWords
from router.question.language.negation import is_negated
from router.question.language.term_mentions import TermMention
from router.question.modifiers import is_content

WEAK = 0.5
"""Below this weight a word is looked up by its meaning too."""


class MentionWidening:
    """Adds mentions by meaning, over one catalogue."""

    def __init__(self, catalog: Catalog, near: NearWords) -> None:
        self._catalog = catalog
        self._near = near

    def widen(self, mentions: Mentions) -> Mentions:
        """Look for the words that no reading accounts for by their meaning."""
        weak = {m.start: m for m in mentions.terms if all(t.weight < WEAK for t in m.terms)}
        strong = [m for m in mentions.terms if m.start not in weak]
        spans = [(mention.start, mention.end) for mention in mentions.values]
        spans += [(mention.start, mention.end) for mention in mentions.dates]
        spans += [(mention.start, mention.end) for mention in strong]
        known_places = {place for start, end in spans for place in range(start, end)}
        missing = [
            place
            for place, token in enumerate(mentions.tokens)
            if place not in known_places and is_content(token.folded) and token.folded.isalpha()
        ]
        if not missing:
            return mentions
        words = [mentions.tokens[place].folded for place in missing]
        terms = self._with_links(mentions, missing, self._near(words))
        named_kinds = {
            term.kind
            for m in mentions.terms
            for term in m.terms
            if term.sort == "kind" and term.exact
        }
        added, values = [], by_place(mentions.values)
        for place, word in zip(missing, words, strict=True):
            # Another word than the kind's own name means another kind.
            fits = [t for t in terms[word] if t.sort != "kind" or t.kind not in named_kinds]
            if place and mentions.tokens[place].text.istitle():  # a name is a value, not a column
                fits = [t for t in fits if t.sort != "column"]
            before = weak.pop(place, None)
            fits = [*(before.terms if before else ()), *fits]
            if fits:
                negated = is_negated(mentions.tokens, place, values)
                added.append(TermMention(place, place + 1, tuple(fits), negated))
        if not added:
            return mentions
        every = sorted((*strong, *weak.values(), *added), key=lambda mention: mention.start)
        return replace(mentions, terms=tuple(every))

    def _with_links(
        self, mentions: Mentions, missing: Sequence[int], terms: Mapping[str, Sequence[Term]]
    ) -> dict[str, list[Term]]:
        """Compare words with the relationships of the values' kinds, in their context."""
        terms_by_word = {word: list(word_terms) for word, word_terms in terms.items()}
        owners = {entry.kind for value in mentions.values for entry in value.entries}
        ends = {
            link.end
            for link in self._catalog.visible_links.values()
            if link.relationship and {link.start, link.end} & owners
        }
        phrases = {mentions.tokens[place].folded: _in_context(mentions, place) for place in missing}
        for end in sorted(ends):
            for word, links in self._near.links(phrases, end).items():
                other_terms = [term for term in terms_by_word.get(word, ()) if term.sort != "link"]
                terms_by_word[word] = [*other_terms, *links]
        return terms_by_word


def _in_context(mentions: Mentions, place: int) -> str:
    """Return a word with the preposition behind it: "appeared in"."""
    next_word = mentions.tokens[place + 1].folded if place + 1 < len(mentions.tokens) else ""
    word = mentions.tokens[place].folded
    return f"{word} {next_word}" if next_word in PREPOSITIONS else word
