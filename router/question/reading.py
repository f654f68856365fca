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
from router.question.candidates import CandidateFinder
from router.question.columns import ColumnFinder
from router.question.conditions.dates import DateReader
from router.question.conditions.numbers import NumberReader
from router.question.conditions.values import ConditionReader
from router.question.draft import Branch, Draft, narrow_measures
from router.question.far_ends import Candidate
from router.question.form import QuestionForm
from router.question.language.grammar import EXTREMES, WHO, superlative
from router.question.language.mentions import Mentions, find_mentions
from router.question.language.near import NearWords
from router.question.language.value_nouns import name_by_values, value_nouns
from router.question.modifiers import (
    NAMED_MIN,
    clause_words,
    is_miscounted,
    is_unspoken,
    kind_names,
    miscounted_words,
    taken_words,
    unanswered_words,
    unused_modifiers,
    word_weight,
)
from router.question.order import OrderReader
from router.question.remainder import RemainderReader
from router.question.shape import ShapeReader
from router.question.widening import MentionWidening

WHOLE = 0.99
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
TIED = 0.06
"""Two readings whose scores differ by less are both named."""
UNSPOKEN = 0.4
"""Cost of a kind that no word asks for."""
COVERAGE = 2.0
MENTIONS_MAX = 64
"""A form holds 20 conditions; the time to read grows with the values times the size of the catalogue."""
_PERSONS = WHO - {"whose"}
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
        self._remainder = RemainderReader(self.catalog, self.paths, self._columns)
        self._nouns = value_nouns(self.catalog, self.values.known)
        self._widening = MentionWidening(self.catalog, self.near) if self.near else None

    _columns: ColumnFinder = field(init=False)
    _conditions: ConditionReader = field(init=False)
    _dates: DateReader = field(init=False)
    _numbers: NumberReader = field(init=False)
    _shape: ShapeReader = field(init=False)
    _order: OrderReader = field(init=False)
    _candidates: CandidateFinder = field(init=False)
    _remainder: RemainderReader = field(init=False)
    _nouns: Mapping[str, Sequence[Term]] = field(init=False)
    _widening: MentionWidening | None = field(init=False)

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
        mentions = name_by_values(mentions, self._nouns)
        if sum(map(len, (mentions.values, mentions.dates, mentions.comparisons))) > MENTIONS_MAX:
            return []
        readings = self._readings(mentions)
        if self._widening is None or not _worth_more(readings, mentions):
            return readings
        widened = self._widening.widen(mentions)
        return readings if widened is mentions else self._readings(widened)

    def _readings(self, mentions: Mentions) -> list[QuestionReading]:
        drafts = (self._draft(c, mentions) for c in self._candidates.candidates(mentions))
        readings = sorted(drafts, key=lambda reading: -reading.score)
        return [*map(_name_rival, readings[:1], readings[1:2]), *readings[len(readings) > 1 :]]

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
        alone |= kind_names(mentions)
        for place, token in enumerate(mentions.tokens):
            if not token.is_word:
                continue
            weight = 1.0 if place in alone else word_weight(token.folded)
            used = draft.used.get(place, 0.0)
            total += max(weight, 0.5 * bool(used and weight))
            gained += weight * min(used, 1.0)
            if weight == 1.0 and not used:
                left_out.append(token.text)
        people = candidate.kind in self.vocabulary.person_kinds
        facts = self.catalog.kinds[candidate.kind]
        dropped = unused_modifiers(draft, mentions, self.vocabulary.hidden)
        dropped += miscounted_words(draft, mentions, facts, people=people)
        left_out += dropped
        left_out += clause_words(draft, mentions)
        left_out += [*taken_words(draft, mentions, candidate), *draft.assumed]
        draft.cost += UNSPOKEN * is_unspoken(draft, candidate, mentions)
        asked = unanswered_words(draft, mentions, facts)
        left_out += asked
        draft.cost += UNANSWERED * (bool(asked) and not _asks_unknown(mentions, left_out))
        if not people and not any(facts.columns[name].type == "text" for name in draft.select):
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


def _asks_unknown(mentions: Mentions, left_out: Sequence[str]) -> bool:
    """Return True for "what are the words of X": what nobody knows may be in the row of X."""
    first = [token.folded for token in mentions.tokens[:2]]
    return first in (["what", "is"], ["what", "are"]) and len(left_out) > 1


def _name_rival(first: QuestionReading, second: QuestionReading) -> QuestionReading:
    """Name what a question may ask for as well, where two readings are nearly tied."""
    kinds = phrase_of(first.form.kind), phrase_of(second.form.kind)
    if first.score - second.score > TIED or kinds[0] == kinds[1]:
        return first
    rival = f"what is asked for (taken for {kinds[0]}, perhaps {kinds[1]})"
    return replace(first, left_out=(*first.left_out, rival))


def _worth_more(readings: Sequence[QuestionReading], mentions: Mentions) -> bool:
    """Return True where looking further may help: something is anchored and something is not."""
    if not readings:
        asks = any(
            superlative(token.folded) or token.folded in EXTREMES or token.folded == "many"
            for token in mentions.tokens
        )
        return bool(mentions.dates or mentions.values or mentions.comparisons or asks)
    return readings[0].coverage < WHOLE and (readings[0].anchors > 0 or readings[0].coverage > 0)
