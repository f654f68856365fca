"""The kinds that a question may ask for, with how much speaks for each before it is read."""

import re
from collections.abc import Iterator

from router.catalog.identifiers import singular
from router.catalog.model import Catalog
from router.catalog.paths import SchemaPaths
from router.catalog.vocabulary import Vocabulary
from router.question.columns import ColumnFinder
from router.question.far_ends import Candidate, FarEnds
from router.question.language.aggregates import PIECES, is_quantity
from router.question.language.grammar import (
    AGGREGATES,
    EXTREMES,
    FUNCTION_WORDS,
    PREPOSITIONS,
    WHO,
    comparative,
    superlative,
)
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention
from router.question.language.value_mentions import ValueMention

FOREMOST = 0.12
"""More of it for the first words but values: "critical incidents not handled by X"."""
HEAD, ASKED, OTHER = 0.7, 1.0, 0.15
"""Words that name the first kind; the kind behind "which"; any other kind."""
PERSON, OWNER = 0.45, 0.3
"""A kind of people behind "who"; the kind that holds a value of the question."""
DOING = 0.4
"""What a verb adds for the people who do that: customers buy."""
GRADED = 0.5
"""The kind whose column a superlative grades: "the highest freight"."""
_COUNTED_OF = frozenset(("of",))
HEADED = 0.6
"""What a category in the plural in front says is asked for."""
LOOKED_UP = 0.85
"""What a row of a lookup table in the plural says: "sales managers" are people with that job."""
AS_COLUMN = 0.3
"""Factor of a kind whose words are a column's own name."""
CANDIDATES_MAX = 12


class CandidateFinder:
    """Proposes kinds of one catalogue."""

    def __init__(
        self, catalog: Catalog, vocabulary: Vocabulary, paths: SchemaPaths, columns: ColumnFinder
    ) -> None:
        self._catalog = catalog
        self._vocabulary = vocabulary
        self._paths = paths
        self._columns = columns
        self._far_ends = FarEnds(catalog, paths)

    def candidates(self, mentions: Mentions) -> list[Candidate]:
        """Return the kinds, likeliest first."""
        best: dict[str, Candidate] = {}
        for candidate in self._propose(mentions):
            before = best.get(candidate.kind)
            if before is None or before.prior < candidate.prior:
                best[candidate.kind] = candidate
        return sorted(best.values(), key=lambda candidate: -candidate.prior)[:CANDIDATES_MAX]

    def asked_kinds(self, mentions: Mentions) -> frozenset[str]:
        """Return the kinds that words right behind "which" or "how many" name exactly."""
        return frozenset(
            term.kind
            for mention in mentions.terms
            for term in mention.of("kind")
            if term.exact and not mention.negated and self._prior(mention, mentions, None) == ASKED
        )

    def _propose(self, mentions: Mentions) -> Iterator[Candidate]:
        head = self._head(mentions)
        for mention in mentions.terms:
            yield from self._from_term(mention, mentions, head)
        if mentions.tokens and any(token.folded in WHO for token in mentions.tokens[:6]):
            for kind in sorted(self._vocabulary.person_kinds):  # the same order in every process
                yield Candidate(kind, PERSON + DOING * self._does(kind, mentions))
        yield from self._far_ends.ends(mentions)
        yield from self._from_superlatives(mentions)
        yield from self._from_pieces(mentions)
        for value in mentions.values:
            for entry in value.entries:
                key = self._catalog.kinds[entry.kind].key
                own = entry.name or key == tuple(column for column, _ in entry.conditions)
                yield Candidate(entry.kind, OWNER * entry.weight * (1.0 if own else 0.8))
        yield from self._plural_categories(mentions)

    def _plural_categories(self, mentions: Mentions) -> Iterator[Candidate]:
        """Yield what a category in the plural means: "nurses hired in 2020", "all droids"."""
        value = _last_in_front(mentions)
        ahead = [t.folded for t in mentions.tokens[: mentions.values[0].start]] if value else []
        if value is None or set(ahead) & PREPOSITIONS - _COUNTED_OF:
            return
        graded = any(superlative(word) or word in EXTREMES for word in ahead)
        summed = ahead[-1:] in (["of"], ["all"], ["the"]) and bool(set(ahead) & set(AGGREGATES))
        if not graded and not summed and not set(ahead) <= FUNCTION_WORDS:
            return
        asks = graded or summed or ahead[-1:] in (["which"], ["what"], ["many"], ["of"], ["all"])
        last = mentions.tokens[value.end - 1].folded
        plural = singular(last) != last and not mentions.tokens[value.end - 1].possessive
        for entry in value.entries:
            if not entry.category or not (entry.inflected or asks or (plural and entry.name)):
                continue
            if not entry.name:
                yield Candidate(entry.kind, (ASKED if asks else HEADED) * entry.weight)
            for step in self._paths.steps(entry.kind) if entry.name else ():
                if not step.reverse or self._catalog.kinds[step.end].join_table:
                    continue  # only what refers to a category is called by it
                yield Candidate(step.end, LOOKED_UP * entry.weight)

    def _does(self, kind: str, mentions: Mentions) -> float:
        """Return how surely the question's verb is what people of a kind do."""
        verbs = self._vocabulary.person_verbs
        lemmas = (self._vocabulary.lemma(token.folded) for token in mentions.tokens)
        words = list(lemmas)
        others = (_CONVERSES[word] for word in words if word in _CONVERSES)
        if any(kind in verbs.get(other, ()) for other in others):
            return -1.0  # customers buy: what was sold was sold by others
        return max((verbs[word].get(kind, 0.0) for word in words if word in verbs), default=0.0)

    def _from_term(
        self, mention: TermMention, mentions: Mentions, head: TermMention | None
    ) -> Iterator[Candidate]:
        for term in mention.terms:
            if mention.negated and not term.exact:
                continue  # "who has no manager" asks for no manager
            if term.sort in ("kind", "role"):
                prior = self._prior(mention, mentions, head) * term.weight
                prior *= AS_COLUMN if _is_column(mention) and not term.exact else 1.0
                yield Candidate(term.kind, prior, mention, term)
            elif term.sort == "column" and not term.link:
                graded = term.exact and _is_graded(mentions, mention.start)
                yield Candidate(term.kind, (GRADED if graded else OTHER) * term.weight)

    def _from_pieces(self, mentions: Mentions) -> Iterator[Candidate]:
        """Yield the lines that hold a quantity: "how many units of Tofu were sold"."""
        words = [token.folded for token in mentions.tokens]
        places = [place for place, word in enumerate(words) if word in PIECES]
        if any(words[max(place - 1, 0)] == "many" for place in places):
            for kind, facts in self._catalog.visible_kinds.items():
                if any(is_quantity(column) for column in facts.visible):
                    yield Candidate(kind, HEADED)

    def _from_superlatives(self, mentions: Mentions) -> Iterator[Candidate]:
        """Yield the kinds that have a column for a superlative: "the shortest"."""
        for token in mentions.tokens:
            graded = superlative(token.folded) or comparative(token.folded)
            if graded is not None and graded.dimension != "size":
                for kind, facts in self._catalog.visible_kinds.items():
                    if facts.store != "qdrant" and self._columns.dimension(kind, graded.dimension):
                        yield Candidate(kind, OTHER)

    def _head(self, mentions: Mentions) -> TermMention | None:
        """Return the first words that name a kind and stand for rows of it, not beside a value."""
        starts = {value.start for value in mentions.values}
        starts |= {number.start for number in mentions.comparisons if not number.marked}
        for mention in mentions.terms:
            if not any(term.sort in ("kind", "role") for term in mention.terms):
                continue
            before = mentions.tokens[mention.start - 1].folded if mention.start else ""
            two_before = mentions.tokens[mention.start - 2].folded if mention.start > 1 else ""
            governed = before in PREPOSITIONS or (
                before in ("the", "a", "an") and two_before in PREPOSITIONS
            )
            if mention.end in starts or _is_measure(mentions, mention.start):
                continue
            if _is_column(mention) or _names_value(mentions, mention):
                continue
            if governed and two_before not in ("number", "count", "list"):
                continue
            return mention
        return None

    def _prior(self, mention: TermMention, mentions: Mentions, head: TermMention | None) -> float:
        before = [
            token.folded for token in mentions.tokens[max(mention.start - 3, 0) : mention.start]
        ]
        if before[-1:] and before[-1] in ("different", "distinct", "unique"):
            before = before[:-1]
        text = " ".join(before)
        is_asked = bool(before) and before[-1] in ("which", "what", "many")
        is_asked = is_asked or text.endswith(("number of", "count of", "count the", "count"))
        apposed = any(value.start == mention.end for value in mentions.values) or any(
            number.start == mention.end and not number.marked for number in mentions.comparisons
        )
        if _is_measure(mentions, mention.start):
            return OTHER
        if is_asked and (not apposed or before[-1] == "many"):
            return ASKED
        if mention is not head and _asks_how_often(mentions):
            return ASKED
        if any(superlative(word) for word in before[-1:]) and mention is head:
            return ASKED
        if mention is not head:
            return OTHER
        return HEAD + FOREMOST * _is_foremost(mention, mentions)


_CONVERSES = {"sell": "buy", "buy": "sell"}


def _last_in_front(mentions: Mentions) -> ValueMention | None:
    """Return the last of the values that follow each other in front: "female meerkats"."""
    last = mentions.values[0] if mentions.values else None
    for value in mentions.values[1:]:
        last = value if last is not None and value.start == last.end else last
    return last


def _is_foremost(mention: TermMention, mentions: Mentions) -> bool:
    if not any(term.exact for term in mention.of("kind")):
        return False
    valued = {place for each in mentions.values for place in range(each.start, each.end)}
    before = mentions.tokens[: mention.start]
    return all(place in valued or each.folded in _ARTICLES for place, each in enumerate(before))


_ARTICLES = frozenset(("the", "all", "our", "any", "every"))


def _is_graded(mentions: Mentions, start: int) -> bool:
    before = mentions.tokens[start - 1].folded if start else ""
    asked = before in ("many", "much", "what", "which")
    return asked or before in EXTREMES or before in AGGREGATES or superlative(before) is not None


def _is_column(mention: TermMention) -> bool:
    """Return True for a column's own name that only resembles a kind: "countries"."""
    exact_sorts = {term.sort for term in mention.terms if term.exact}
    return "column" in exact_sorts and "kind" not in exact_sorts


def _names_value(mentions: Mentions, mention: TermMention) -> bool:
    """Return True for "in the IT department", where the kind explains a value behind "in"."""
    value = next(
        (candidate for candidate in mentions.values if candidate.end == mention.start), None
    )
    if value is None:
        return False
    before = [token.folded for token in mentions.tokens[max(value.start - 2, 0) : value.start]]
    return any(word in PREPOSITIONS for word in before)


def _is_measure(mentions: Mentions, start: int) -> bool:
    """Return True for "by number of orders" and "the highest number of orders"."""
    before = " ".join(token.folded for token in mentions.tokens[max(start - 6, 0) : start])
    return _MEASURE.search(before) is not None


def _asks_how_often(mentions: Mentions) -> bool:
    words = [token.folded for token in mentions.tokens[:3]]
    return words[:2] == ["how", "often"] or words == ["how", "many", "times"]


_MEASURE = re.compile(
    r"\b(?:by|with|has|have|had|most|least|fewest|highest|lowest|largest|greatest|biggest|smallest)"
    r"(?: the| a| an)?(?: highest| largest| greatest| lowest| smallest| total)? (?:number|count) of$"
)
