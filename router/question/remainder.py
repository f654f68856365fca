"""The rest of a question, besides values, times and numbers: columns asked for, flags, links."""

from router.catalog.guesses import flag_value
from router.catalog.hierarchy import UNDER
from router.catalog.model import Catalog, CatalogColumn, is_flag_column, is_temporal
from router.catalog.paths import SchemaPath, SchemaPaths
from router.catalog.vocabulary import Term
from router.question.columns import ColumnFinder
from router.question.conditions.states import (
    add_currency,
    is_over,
    is_plural,
    is_verb_of_denied,
)
from router.question.conditions.stock import StockReader
from router.question.draft import Draft
from router.question.far_ends import Candidate
from router.question.form import AnyCondition, ValueCondition
from router.question.language.grammar import ADJECTIVES
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention

SELECTED_MIN, EXISTS_MIN, KIND_MIN, NEGATED_MIN = 0.45, 0.7, 0.6, 0.7
"""Sureness from which words ask for a column, require a link, name another kind, are denied."""


FLAG_MIN = 0.6
"""Sureness from which words state a flag: it restricts the rows, so a guess would hide some."""


class RemainderReader:
    """Adds what is left of a question to a draft."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns
        self._stock = StockReader(catalog, paths, columns)

    def add_rest(self, draft: Draft, mentions: Mentions, candidate: Candidate) -> None:
        """Add what stays: columns asked for, flags, and links that must exist or must not."""
        for mention in mentions.terms:
            if any(draft.used.get(place) for place in range(mention.start, mention.end)):
                continue
            if is_verb_of_denied(mentions, mention, draft.kind):
                draft.use(mention.start, mention.end, WORD_OF_VALUE)
            elif not self._stock.add_stock(draft, mentions, mention):
                self._add_column(draft, mentions, mention)
        self._add_named_flag(draft, candidate)
        self._add_asked_grade(draft, mentions)
        add_currency(draft, mentions, self._catalog.kinds[draft.kind].visible)
        asked_term = candidate.term
        if asked_term is not None and asked_term.sort == "role":
            self._require_link(draft, candidate, asked_term)
        for link, (mention, weight) in mentions.links.items():
            if draft.used.get(mention.start) and not mention.negated:
                continue
            self._add_link(draft, mentions, mention, (link, weight))
        self._add_denied(draft, mentions)

    def _require_link(self, draft: Draft, candidate: Candidate, role: Term) -> None:
        used = {branch.step.link for branch in draft.root.branches}
        step = next(
            (
                link_step
                for link_step in self._paths.steps(candidate.kind)
                if link_step.link == role.link
            ),
            None,
        )
        if step is not None and role.link not in used and not draft.order:
            draft.root.at((step,))

    def _add_asked_grade(self, draft: Draft, mentions: Mentions) -> None:
        """Show the column that "how tall" and "how old" ask for."""
        words = [token.folded for token in mentions.tokens[:2]]
        graded = ADJECTIVES.get(words[-1]) if words[:1] == ["how"] else None
        if graded is None or draft.used.get(1) or draft.aggregate is not None:
            return
        column = self._columns.graded_column(draft.kind, graded.dimension)
        if column is not None:
            draft.select.append(column)
            draft.use(0, 2, 1.0)

    def _add_named_flag(self, draft: Draft, candidate: Candidate) -> None:
        """Restrict by the flag in the words for the asked kind: "oral exams" of exams."""
        mention, columns = candidate.mention, self._catalog.kinds[draft.kind].visible
        if mention is None or mention.start + 1 == mention.end:
            return
        for term in mention.of("column"):
            own = term.kind == draft.kind and not term.link and term.column in columns
            if own and is_flag_column(columns[term.column]) and term.weight >= FLAG_MIN:
                _use_column(draft, columns[term.column], mention, (term, False))
                return

    def _add_column(self, draft: Draft, mentions: Mentions, mention: TermMention) -> None:
        when = mentions.tokens[0].folded == "when"  # "when did it open" asks for the time
        for term in mention.of("column"):
            column = self._catalog.kinds[draft.kind].visible.get(term.column)
            if term.kind != draft.kind or term.link or column is None:
                continue
            if term.weight < SELECTED_MIN or (term.opposite and when):
                continue
            ending = column.nulls is not None and column.nulls > 0 and is_temporal(column)
            demanded = _demands_presence(mentions, mention) or (
                ending and is_over(mentions, mention)
            )
            if _use_column(draft, column, mention, (term, demanded)):
                draft.use(mention.start, mention.end, term.weight)
            return

    def _add_link(
        self, draft: Draft, mentions: Mentions, mention: TermMention, named_link: tuple[str, float]
    ) -> None:
        """Require a link that words name ("people who directed something"), or deny it."""
        link, weight = named_link
        vague = " ".join(mention.words_of(mentions.tokens)) in UNDER  # "work for the company"
        if vague or draft.used.get(mention.start) or _governs_own_value(draft, mentions, mention):
            return
        number = next((n for n in mentions.comparisons if n.end == mention.start), None)
        if number is not None and number.marked and draft.used.get(number.start):
            draft.use(mention.start, mention.end, WORD_OF_VALUE)
            return  # "over 17000 attackers" is a size
        steps = [step for step in self._paths.steps(draft.kind) if step.link == link]
        if not steps or weight < EXISTS_MIN or self._names_row(draft):
            return
        if mention.negated:
            draft.root.deny((steps[0],), ())
            draft.negated = True
        elif not any(branch.step.link == link for branch in draft.root.branches):
            draft.root.at((steps[0],))
        draft.use(mention.start, mention.end, weight)
        for other in mentions.terms:  # "scored a goal" is one link in two words
            if any(t.link == link and t.sort == "link" for t in other.terms[:1]):
                draft.use(other.start, other.end, weight)

    def _names_row(self, draft: Draft) -> bool:
        """Return True where a condition names a row, which needs no further link to exist."""
        facts = self._catalog.kinds[draft.kind]
        columns = {
            condition.column
            for condition in draft.root.conditions
            if isinstance(condition, ValueCondition)
        }
        return bool(columns & {*facts.key, *facts.title})

    def _add_denied(self, draft: Draft, mentions: Mentions) -> None:
        """Add "customers without orders": another kind that must be absent."""
        for mention in mentions.terms:
            if draft.used.get(mention.start):
                continue
            for term in mention.of("kind"):
                paths = self._paths.between(draft.kind, term.kind)
                if term.kind == draft.kind or not paths or term.weight < KIND_MIN:
                    continue
                if mention.negated:
                    draft.negated = True
                    if not _is_denied(draft, paths[0]):
                        draft.root.deny(paths[0], ())
                    draft.use(mention.start, mention.end, term.weight)
                elif self._requires(mentions, mention):
                    draft.root.at(paths[0])
                    draft.use(mention.start, mention.end, term.weight)
                break

    @staticmethod
    def _requires(mentions: Mentions, mention: TermMention) -> bool:
        before = {
            token.folded for token in mentions.tokens[max(mention.start - 3, 0) : mention.start]
        }
        return bool(before & {"with", "have", "has", "having", "had"})


def _is_denied(draft: Draft, path: SchemaPath) -> bool:
    """Return True where a condition already denies rows on this way: "no orders in 1998"."""
    return any(link.negated and link.step == path[0] for link in draft.root.branches)


def _use_column(
    draft: Draft, column: CatalogColumn, mention: TermMention, term_and_demand: tuple[Term, bool]
) -> bool:
    """Restrict by a flag or by a missing value, else show the column; False: left out."""
    term, demanded = term_and_demand
    if mention.negated and term.weight < NEGATED_MIN:
        return False  # too unsure to turn it round
    if is_flag_column(column):
        if term.weight >= FLAG_MIN:
            negated = mention.negated != term.opposite
            draft.root.add((), [_flag_condition(term.column, column, negated=negated)])
            draft.negated |= mention.negated
        return term.weight >= FLAG_MIN
    if mention.negated and _turn_round(draft, term.column):
        return True
    if mention.negated and column.type == "integer" and is_plural(term.column):
        nothing = ValueCondition(column=term.column, values=(0,))
        missing = ValueCondition(column=term.column, operator="missing")
        draft.root.add((), [AnyCondition(conditions=(nothing, missing))])
        draft.negated = True
        return True
    if mention.negated or demanded or term.opposite:
        present = mention.negated == term.opposite
        missing = ValueCondition(column=term.column, operator="missing", negated=present)
        draft.root.add((), [missing])
        draft.negated |= mention.negated
        return True
    if draft.aggregate is None:  # a count shows no column
        draft.select.append(term.column)
    return draft.aggregate is None


def _turn_round(draft: Draft, column: str) -> bool:
    """Deny the value that a column is said not to have: "films that X did not direct"."""
    for place, condition in enumerate(draft.root.conditions):
        if not isinstance(condition, ValueCondition) or condition.column != column:
            continue
        if condition.operator == "=" and not condition.negated:
            draft.root.conditions[place] = condition.model_copy(update={"negated": True})
            draft.negated = True
            return True
    return False


def _demands_presence(mentions: Mentions, mention: TermMention) -> bool:
    """Return True for "with a fax": the rows that have one."""
    before = [t.folded for t in mentions.tokens[max(mention.start - 2, 0) : mention.start]]
    return before[-1:] in (["a"], ["an"], ["any"]) and before[0] in (
        "with",
        "have",
        "has",
        "having",
    )


def _governs_own_value(draft: Draft, mentions: Mentions, mention: TermMention) -> bool:
    """Return True for a verb in front of a value of the row itself: "run Windows" names no link."""
    value_after = next(
        (v for v in mentions.values if v.start == mention.end and not v.negated), None
    )
    if value_after is None or not draft.used.get(value_after.start):
        return False
    row_values = {
        v for c in draft.root.conditions if isinstance(c, ValueCondition) for v in c.values
    }
    if not any(
        value in row_values for entry in value_after.entries for _, value in entry.conditions
    ):
        return False
    draft.use(mention.start, mention.end, WORD_OF_VALUE)
    return True


WORD_OF_VALUE = 0.6


def _flag_condition(name: str, column: CatalogColumn, *, negated: bool) -> ValueCondition:
    """Return that a flag is set, or that it is not; an unknown one is neither."""
    if column.type == "boolean":
        return ValueCondition(column=name, values=(not negated,))
    return ValueCondition(column=name, values=(flag_value(column.samples),), negated=negated)
