"""Read a question: draft a form for every kind it may ask for, and take the surest.

A draft scores by the share of the question's words that it accounts for, less what it assumes.
Words without a meaning in the catalogue are returned as ``left_out``, never dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from router.catalog.identifiers import phrase_of
from router.catalog.model import Catalog
from router.catalog.paths import SchemaPaths
from router.catalog.values import ValueIndex
from router.catalog.vocabulary import Term, Vocabulary
from router.observability.trace import require_time
from router.question.candidates import Candidate, CandidateFinder
from router.question.columns import ColumnFinder
from router.question.conditions import ConditionReader
from router.question.date_conditions import DateReader
from router.question.draft import Branch, Draft, narrow_measures
from router.question.form import QuestionForm
from router.question.language.grammar import (
    FUNCTION_WORDS,
    LIGHT_WORDS,
    PREPOSITIONS,
    WHO,
    superlative,
)
from router.question.language.mentions import (
    Mentions,
    by_place,
    find_mentions,
    is_negated,
)
from router.question.language.near import NearWords
from router.question.language.term_mentions import TermMention
from router.question.modifiers import is_miscounted, unanswered_words, unused_modifiers
from router.question.number_conditions import NumberReader
from router.question.order import OrderReader
from router.question.remainder import RemainderReader
from router.question.shape import ShapeReader

LIGHT = 0.25
WEAK = 0.5
"""Below this weight a word is looked up by its meaning too."""
WHOLE = 0.99
NAMED_MIN = 0.6
"""Sureness from which words name a kind."""
NO_PERSON = 0.5
"""Cost of an answer to "who" that is not a person."""
OWNED = 0.4
"""More of it behind "who has": what people have is not who has it."""
NOT_ASKED = 0.5
"""Cost of an answer that is not of the kind right behind "how many"."""
VIEW, KEYLESS = 0.05, 0.4
"""Cost of a view, which repeats tables; of one whose rows have no key."""
GUESSED = 0.3
"""Cost of a kind that words only resemble, where other words are a kind's own name."""
UNANSWERED = 0.4
"""Cost of showing the row that a question names where it asks for another."""
COVERAGE = 2.0
MENTIONS_MAX = 64
"""A form holds 20 conditions; the time to read grows with the values times the size of the catalogue."""
_PERSONS = WHO - {"whose", "people"}
JOIN_TABLE = 0.6
"""Cost of an answer that only links others."""


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """A form, and how sure it is.

    ``coverage`` is the share of the question's words accounted for, 0 to 1; ``left_out`` are the
    others; ``matches`` say which words led to what. A ``doubtful`` reading dropped a word that
    changes the answer, so that no value is stated for it.
    """

    form: QuestionForm
    score: float
    coverage: float
    left_out: tuple[str, ...]
    matches: tuple[str, ...]
    anchors: int
    doubtful: bool = False


@dataclass(slots=True)
class QuestionReader:
    """Reads questions over one catalogue. ``near`` finds terms for words without an exact one."""

    catalog: Catalog
    vocabulary: Vocabulary
    values: ValueIndex
    near: NearWords | None = None
    paths: SchemaPaths = field(init=False)

    def __post_init__(self) -> None:
        self.paths = SchemaPaths(self.catalog)
        self._columns = ColumnFinder(self.catalog, self.vocabulary, self.paths)
        self._conditions = ConditionReader(self.catalog, self.paths, self._columns)
        self._dates = DateReader(self.catalog, self.paths, self._columns)
        self._numbers = NumberReader(self.catalog, self.paths, self._columns)
        self._shape = ShapeReader(self.catalog, self.vocabulary, self.paths, self._columns)
        self._order = OrderReader(self.catalog, self.paths, self._columns)
        self._candidates = CandidateFinder(self.catalog, self.vocabulary, self.paths, self._columns)
        self._remainder = RemainderReader(self.catalog, self.paths)

    _columns: ColumnFinder = field(init=False)
    _conditions: ConditionReader = field(init=False)
    _dates: DateReader = field(init=False)
    _numbers: NumberReader = field(init=False)
    _shape: ShapeReader = field(init=False)
    _order: OrderReader = field(init=False)
    _candidates: CandidateFinder = field(init=False)
    _remainder: RemainderReader = field(init=False)

    def read(
        self, question: str, today: date, caller: Mapping[str, str | None] | None = None
    ) -> list[QuestionReading]:
        """Return the readings, surest first; none where nothing of the catalogue is mentioned.

        ``caller`` has the tenant and the user, whose rows' values a question may name.
        A text with more than ``MENTIONS_MAX`` values, times and numbers has no reading.

        Raises:
            TimeoutError: the query's deadline passed.
            ValidationError: a form cannot hold the question.
        """
        seen = frozenset((name, value) for name, value in (caller or {}).items() if value)
        mentions = find_mentions(question, self.vocabulary, self.values.seen_by(seen), today)
        if sum(map(len, (mentions.values, mentions.dates, mentions.comparisons))) > MENTIONS_MAX:
            return []
        readings = self._readings(mentions)
        if self.near is None or not _worth_more(readings, mentions):
            return readings
        widened = self._widen(mentions)
        return readings if widened is mentions else self._readings(widened)

    def _readings(self, mentions: Mentions) -> list[QuestionReading]:
        drafts = (self._draft(c, mentions) for c in self._candidates.candidates(mentions))
        return sorted(drafts, key=lambda reading: -reading.score)

    def _widen(self, mentions: Mentions) -> Mentions:
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
            if place not in known_places and _is_content(token.folded) and token.folded.isalpha()
        ]
        if not missing or self.near is None:
            return mentions
        words = [mentions.tokens[place].folded for place in missing]
        terms = self._with_links(mentions, missing, self.near(words))
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
            for link in self.catalog.visible_links.values()
            if link.relationship and {link.start, link.end} & owners
        }
        phrases = {mentions.tokens[place].folded: _in_context(mentions, place) for place in missing}
        for end in sorted(ends):
            for word, links in self.near.links(phrases, end).items() if self.near else ():
                other_terms = [term for term in terms_by_word.get(word, ()) if term.sort != "link"]
                terms_by_word[word] = [*other_terms, *links]
        return terms_by_word

    def _draft(self, candidate: Candidate, mentions: Mentions) -> QuestionReading:
        require_time()
        draft = Draft(candidate.kind, Branch(candidate.kind))
        if candidate.mention is not None and candidate.term is not None:
            draft.use(candidate.mention.start, candidate.mention.end, candidate.term.weight)
        for mention in mentions.terms:
            weights = [t.weight for t in mention.of("kind") if t.kind == candidate.kind and t.exact]
            if weights:
                draft.use(mention.start, mention.end, weights[0])
        facts = self.catalog.kinds[candidate.kind]
        draft.cost += GUESSED * self._is_guess(candidate, mentions)
        draft.cost += (VIEW if facts.key else KEYLESS) * facts.view + JOIN_TABLE * facts.join_table
        asked_kinds = self._candidates.asked_kinds(mentions)
        draft.cost += NOT_ASKED * bool(asked_kinds and candidate.kind not in asked_kinds)
        first = {token.folded for token in mentions.tokens[:4]}
        if first & _PERSONS and candidate.kind not in self.vocabulary.person_kinds:
            draft.cost += NO_PERSON + OWNED * bool(first & {"has", "have", "had"})
        self._shape.add_limit(draft, mentions)
        role = candidate.term.link if candidate.term and candidate.term.sort == "role" else ""
        self._conditions.add_values(draft, mentions, (role, candidate.mention))
        self._dates.add_dates(draft, mentions)
        self._numbers.add_numbers(draft, mentions)
        self._shape.add_aggregate(draft, mentions, candidate.mention)
        self._order.add_order(draft, mentions)
        self._dates.add_measured_dates(draft, mentions)
        self._remainder.add_rest(draft, mentions, candidate)
        return self._score(draft, mentions, candidate)

    @staticmethod
    def _is_guess(candidate: Candidate, mentions: Mentions) -> bool:
        """Return True for a kind that words only resemble where others name one."""
        if candidate.term is None or candidate.term.weight >= NAMED_MIN:
            return False
        return any(term.exact for mention in mentions.terms for term in mention.of("kind"))

    def _score(self, draft: Draft, mentions: Mentions, candidate: Candidate) -> QuestionReading:
        total = gained = 0.0
        left_out: list[str] = []
        alone = {each.start for each in mentions.values if each.end - each.start == 1}
        for place, token in enumerate(mentions.tokens):
            if not token.is_word:
                continue
            weight = 1.0 if place in alone else _weight(token.folded)
            used = draft.used.get(place, 0.0)
            total += max(weight, 0.5 * bool(used and weight))
            gained += weight * min(used, 1.0)
            if weight == 1.0 and not used:
                left_out.append(token.text)
        left_out += (dropped := unused_modifiers(draft, mentions))
        left_out += [*_assumed_words(candidate, mentions), *draft.assumed]
        facts = self.catalog.kinds[candidate.kind]
        left_out += (asked := unanswered_words(draft, mentions, facts))
        draft.cost += UNANSWERED * bool(asked)
        if candidate.kind not in self.vocabulary.person_kinds and not draft.select:
            left_out += [t.text for t in mentions.tokens[:1] if t.folded in _PERSONS]
        coverage = gained / total if total else 0.0
        anchors = len(mentions.values) + len(mentions.dates) + bool(candidate.mention)
        score = COVERAGE * coverage + candidate.prior + draft.bonus - draft.cost
        return QuestionReading(
            narrow_measures(draft.form(), self.catalog),
            score,
            coverage,
            tuple(dict.fromkeys((*left_out, *draft.left_out))),
            tuple(draft.matches),
            anchors,
            bool(dropped or draft.left_out) or is_miscounted(draft, mentions),
        )


def _assumed_words(candidate: Candidate, mentions: Mentions) -> list[str]:
    """Return the asked kind's words where they are only near its name: a guess is named."""
    mention, term = candidate.mention, candidate.term
    if mention is None or term is None or term.exact or term.weight >= NAMED_MIN:
        return []
    words = mentions.words(mention.start, mention.end)
    return [f"{words} (taken for {phrase_of(candidate.kind)})"]


def _in_context(mentions: Mentions, place: int) -> str:
    """Return a word with the preposition behind it: "appeared in"."""
    next_word = mentions.tokens[place + 1].folded if place + 1 < len(mentions.tokens) else ""
    word = mentions.tokens[place].folded
    return f"{word} {next_word}" if next_word in PREPOSITIONS else word


def _is_content(word: str) -> bool:
    return word not in FUNCTION_WORDS and word not in LIGHT_WORDS and word not in WHO


def _weight(word: str) -> float:
    if word in FUNCTION_WORDS or word in WHO:
        return 0.0
    return LIGHT if word in LIGHT_WORDS else 1.0


def _worth_more(readings: Sequence[QuestionReading], mentions: Mentions) -> bool:
    """Return True where looking further may help: something is anchored and something is not."""
    if not readings:
        asks = any(superlative(token.folded) or token.folded == "many" for token in mentions.tokens)
        return bool(mentions.dates or mentions.values or mentions.comparisons or asks)
    return readings[0].coverage < WHOLE and (readings[0].anchors > 0 or readings[0].coverage > 0)
