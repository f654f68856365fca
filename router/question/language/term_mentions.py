"""Names of the catalogue in a question: kinds, columns and links, longer phrases before shorter ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from router.catalog.identifiers import words_of
from router.catalog.vocabulary import Term, Vocabulary
from router.question.language.grammar import AGGREGATES, ANTONYMS, FUNCTION_WORDS, LIGHT_WORDS
from router.question.language.tokens import QuestionToken
from router.question.language.value_mentions import ngrams

TERM_WEIGHT_MIN = 0.33


@dataclass(frozen=True, slots=True)
class TermMention:
    """A phrase that names something of the catalogue, best meaning first."""

    start: int
    end: int
    terms: tuple[Term, ...]
    negated: bool = False

    def words_of(self, tokens: Sequence[QuestionToken]) -> tuple[str, ...]:
        """Return the folded words of the phrase."""
        return tuple(token.folded for token in tokens[self.start : self.end])

    def of(self, sort: str) -> Iterator[Term]:
        """Yield the meanings of one sort."""
        return (term for term in self.terms if term.sort == sort)


def names_column(terms: Sequence[TermMention], place: int) -> TermMention | None:
    """Return the column's name of several words that begins at ``place``: "maximum salary"."""
    return next(
        (
            mention
            for mention in terms
            if mention.start == place
            and mention.end > place + 1
            and any(term.exact for term in mention.of("column"))
        ),
        None,
    )


def find_terms(
    tokens: Sequence[QuestionToken], busy: frozenset[int], vocabulary: Vocabulary
) -> list[TermMention]:
    taken, found = set[int](), list[TermMention]()
    for start, end, words in ngrams(tokens, busy, min(vocabulary.words_max, 4)):
        if any(place in taken for place in range(start, end)):
            continue
        if all(word in FUNCTION_WORDS for word in words) and words[0] not in _NAMING:
            continue
        terms = _meanings(words, tokens, vocabulary, tokens[start])
        if any(term.exact and term.sort == "kind" for term in terms):
            terms = [term for term in terms if term.exact or term.sort in ("kind", "role")]
        if start + 1 == end and _is_verb(words[0], terms, vocabulary):
            terms = [
                replace(term, weight=term.weight * VERB, exact=False)
                if term.sort == "kind" and term.exact
                else term
                for term in terms
            ]
        if all(word in LIGHT_WORDS for word in words) and words != ["stock"]:
            terms = [
                t
                for t in terms
                if t.exact or t.sort == "role" or _is_link_word(t) or _ends(t, vocabulary)
            ]
        if terms:
            found.append(TermMention(start, end, tuple(terms)))
            taken |= set(range(start, end))
    return sorted(found, key=lambda each: each.start)


def _meanings(
    words: Sequence[str],
    tokens: Sequence[QuestionToken],
    vocabulary: Vocabulary,
    first: QuestionToken,
) -> list[Term]:
    """Return what a phrase may mean, and what it denies; a misspelt word means what it resembles."""
    terms = [term for term in vocabulary.find(words) if term.weight >= TERM_WEIGHT_MIN]
    if len(words) == 1 and words[0] in _LEAVING:
        terms = _times_of_end(terms, vocabulary)
    if not terms and len(words) == 1 and not first.capital:
        terms = vocabulary.find_misspelt(words[0])
    behind = _behind_function(words, (tokens, vocabulary), terms)
    return [*_opposites(words, vocabulary), *terms, *behind]


def _times_of_end(terms: Sequence[Term], vocabulary: Vocabulary) -> list[Term]:
    """Return the meanings of "left": the time when a row ended, and never when it began."""
    known = {(term.kind, term.column) for term in terms}
    ends = [
        Term("column", kind, LEFT, column)
        for kind, column in sorted(vocabulary.endings - known)
        if set(words_of(column)) & _END
    ]
    kept = [term for term in terms if not term.column or not set(words_of(term.column)) & _BEGIN]
    return [*kept, *ends]


LEFT = 0.8
"""Sureness with which "left" means the time when a row ended."""
_LEAVING = frozenset(("left", "leave", "leaves", "quit", "resigned", "departed", "retired"))
_END = frozenset(("left", "end", "ended", "until", "quit", "resigned", "terminated", "departed"))
_BEGIN = frozenset(
    ("start", "started", "begin", "began", "begun", "since", "hired", "hire", "joined", "from")
)


def _behind_function(
    words: Sequence[str],
    question: tuple[Sequence[QuestionToken], Vocabulary],
    terms: Sequence[Term],
) -> Iterator[Term]:
    """Yield "height" of a kind that the question names, where another has an "average height"."""
    tokens, vocabulary = question
    others = {term.kind for term in terms if term.exact and term.sort == "column"}
    if not others or words[0] not in AGGREGATES:
        return
    named = {
        term.kind
        for token in tokens
        for term in vocabulary.find([token.folded])
        if term.exact and term.sort == "kind"
    }
    for term in vocabulary.find(words[1:]):
        if term.exact and term.sort == "column" and term.kind in named - others:
            yield term


def _opposites(words: Sequence[str], vocabulary: Vocabulary) -> list[Term]:
    """Return the flags and the times that a word denies: "open" for ``closed`` and ``closed_at``."""
    other = ANTONYMS.get(words[0]) if len(words) == 1 else None
    named = [term for term in vocabulary.find(words) if term.exact]
    if other is None or any((t.kind, t.column) not in vocabulary.temporal for t in named):
        return []  # an open case has an ``opened_at`` too
    others = _ENDINGS.get(other, (other,))
    return [
        replace(term, opposite=True)
        for word in others
        for term in vocabulary.find([word])
        if (term.exact and (term.kind, term.column) in vocabulary.flags)
        or (term.weight >= ENDED_MIN and (term.kind, term.column) in vocabulary.endings)
    ]


_ENDINGS = {
    "dead": ("dead", "death", "died"),
    "closed": ("closed", "resolved", "completed", "finished", "ended"),
}
"""Words of columns that end what a state denies: an open case has no ``resolved_at``."""
ENDED_MIN = 0.7
"""Sureness of a time from which a row without it is not over yet."""
VERB = 0.6
"""Factor of a kind whose name is a verb here: "answered" is what answers do."""


def _is_verb(word: str, terms: Sequence[Term], vocabulary: Vocabulary) -> bool:
    """Return True for a participle that names a relationship as well as a kind."""
    related = any(term.link in vocabulary.relationships for term in terms if term.sort == "link")
    return related and word.endswith(("ed", "ing"))


def _ends(term: Term, vocabulary: Vocabulary) -> bool:
    """Return True for a time that may be missing: "not sent" for ``sent_at``."""
    return (term.kind, term.column) in vocabulary.endings and term.weight >= ENDED_MIN


def _is_link_word(term: Term) -> bool:
    """Return True for a link's own word: "based" for BASED_IN."""
    return term.sort == "link" and term.weight >= LINK_WORD


LINK_WORD = 1.0
_NAMING = frozenset(("total", "amount", "count", "number", "name", "type"))
"""Function words that are columns as often."""
