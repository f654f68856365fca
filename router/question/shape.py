"""The shape of an answer: a count, a sum, an average, groups, the first few rows."""

from router.catalog.identifiers import phrase_of, words_of
from router.catalog.model import Catalog, is_flag_column
from router.catalog.paths import SchemaPaths
from router.catalog.vocabulary import Term, Vocabulary
from router.question.columns import ColumnFinder
from router.question.draft import Draft
from router.question.form import Aggregate
from router.question.groups import GroupReader
from router.question.language.aggregates import PIECES, count_place, is_aggregate, is_quantity
from router.question.language.grammar import (
    AGGREGATES,
    EXTREMES,
    MONEY,
    superlative,
)
from router.question.language.mentions import Mentions
from router.question.language.numbers import number_at
from router.question.language.term_mentions import TermMention, names_column

_MONEY_WORDS = frozenset((*MONEY, "money", "spent", "paid", "earned", "sold", "turnover"))
_DIFFERENT = frozenset(("different", "distinct", "unique"))
_COSTING = frozenset(("cost", "costs", "costing", "worth", "charge", "priced"))
_LIMITING = frozenset(("top", "first", "best", "bottom", "last"))
LIMIT_MAX = 50
PIECES_MIN = 0.6
AGGREGATED_GAP = 4
"""Words between "average" and the column that it is of."""
DIFFERENT_MIN = 0.55
"""Sureness from which "different" counts the values of a column."""
KIND_MIN, MONEY_MIN, NAMED_MIN = 0.55, 0.5, 0.4
"""Sureness from which words name a kind, a column of money, any column."""


class ShapeReader:
    """Adds aggregate, order and limit to a draft."""

    def __init__(
        self, catalog: Catalog, vocabulary: Vocabulary, paths: SchemaPaths, columns: ColumnFinder
    ) -> None:
        self._catalog = catalog
        self._vocabulary = vocabulary
        self._columns = columns
        self._groups = GroupReader(catalog, paths, columns)

    def add_limit(self, draft: Draft, mentions: Mentions) -> None:
        """Read "top 10", "5 largest", "the first three"; before numbers are compared."""
        tokens = mentions.tokens
        for place, token in enumerate(tokens):
            extreme = token.folded in _LIMITING or token.folded in EXTREMES
            if any(
                comparison.marked and comparison.start <= place < comparison.end
                for comparison in mentions.comparisons
            ):
                continue  # "at least 13"
            if not extreme and superlative(token.folded) is None:
                continue
            number_after = number_at(tokens, place + 1) if place + 1 < len(tokens) else None
            in_front = number_at(tokens, place - 1) if place else None
            number = number_after if number_after and isinstance(number_after[0], int) else None
            if number and 0 < number[0] <= LIMIT_MAX:
                draft.limit = int(number[0])
                draft.use(place + (not extreme), number[1], 1.0)
            elif in_front and in_front[1] == place and 0 < in_front[0] <= LIMIT_MAX:
                draft.limit = int(in_front[0])
                draft.use(place - 1, place + extreme, 1.0)

    def add_aggregate(self, draft: Draft, mentions: Mentions, counted: TermMention | None) -> None:
        """Read "how many", "total of", "average", "how much", and the groups they are for."""
        words = [token.folded for token in mentions.tokens]
        place = count_place(words, counted.end if counted else None)
        if place is None:
            self._add_function(draft, mentions, words)
        elif not self._add_quantity(draft, mentions, place):
            draft.aggregate = Aggregate(function="count")
            different = {t.folded for t in mentions.tokens[place : place + 1]} <= _DIFFERENT
            named = counted is not None and counted.start == place + different
            draft.use(max(place - 2, 0), place + (different and named), 1.0)
        if draft.aggregate is not None or "per" in words:
            self._groups.add_group(draft, mentions)

    def _add_quantity(self, draft: Draft, mentions: Mentions, place: int) -> bool:
        """Read "how many units are in stock" and "how many countries": a column, not rows."""
        different = {t.folded for t in mentions.tokens[place : place + 1]} <= _DIFFERENT
        noun = next((m for m in mentions.terms if m.start == place + different), None)
        if noun is None or _is_kind(noun, draft.kind):
            return self._add_stock(draft, mentions, place)
        column = self._quantity(draft, mentions, noun, different=different)
        if column is None:
            return False
        function = "sum" if column in self._columns.numeric(draft.kind) else "distinct"
        draft.use(place - 2, place + different, 1.0)
        if function == "sum" and self._is_single(draft):
            draft.select.append(column)
        else:
            draft.aggregate = Aggregate.model_validate({"function": function, "column": column})
        draft.bonus += 0.3
        return True

    def _add_stock(self, draft: Draft, mentions: Mentions, place: int) -> bool:
        """Read "how many trains are in stock": the pieces of what counts as a kind or a value."""
        for mention in mentions.terms:
            before = [t.folded for t in mentions.tokens[max(mention.start - 2, 0) : mention.start]]
            stocked = mention.words_of(mentions.tokens) == ("stock",) and before == [
                *before[:-1],
                "in",
            ]
            all_of_them = {"altogether", "overall", "total"} & {t.folded for t in mentions.tokens}
            if not stocked or not (all_of_them or self._is_single(draft)):
                continue
            numeric = self._columns.numeric(draft.kind)
            for term in mention.of("column"):
                if term.kind == draft.kind and term.column in numeric:
                    draft.aggregate = Aggregate(function="sum", column=term.column)
                    draft.use(place - 2, place, 1.0)
                    draft.use(mention.start - 1, mention.end, 1.0)
                    draft.bonus += 0.3
                    return True
        return False

    def _quantity(
        self, draft: Draft, mentions: Mentions, noun: TermMention, *, different: bool
    ) -> str | None:
        """Return the column that the noun and further words name best, and use them."""
        numeric = self._columns.numeric(draft.kind)
        exact = any(t.exact for t in noun.of("column"))
        columns = [t for t in noun.of("column") if t.kind == draft.kind and not t.link]
        columns = [t for t in columns if t.exact or (not exact and not _is_money(t.column))]
        facts = self._catalog.kinds[draft.kind].columns
        columns = [t for t in columns if not is_flag_column(facts[t.column])]  # "penalties"
        pieces = set(noun.words_of(mentions.tokens)) <= PIECES
        columns += [
            Term("column", draft.kind, 1.0, name)
            for name in numeric
            if pieces and is_quantity(name)
        ]
        weight_min = DIFFERENT_MIN if different else 1.0
        scores = {
            t.column: t.weight for t in columns if t.column in numeric or t.weight >= weight_min
        }
        parts: dict[str, list[TermMention]] = {column: [noun] for column in scores}
        for mention in mentions.terms:
            for term in mention.of("column") if mention is not noun else ():
                if term.kind == draft.kind and term.column in scores:
                    scores[term.column] += term.weight
                    parts[term.column].append(mention)
        if pieces:  # "units" alone do not mean those in stock
            scores = {column: score for column, score in scores.items() if score >= PIECES_MIN}
        if not scores:
            return None
        best = max(scores, key=lambda column: scores[column])
        for mention in parts[best]:
            draft.use(mention.start, mention.end, 1.0)
        return best

    def _add_function(self, draft: Draft, mentions: Mentions, words: list[str]) -> None:
        for place, word in enumerate(words):
            function = AGGREGATES.get(word)
            if function is None or not is_aggregate(words, place):
                continue
            name = names_column(mentions.terms, place)
            if name is not None and self._is_name_only(draft, mentions, name):
                return
            column = self._aggregate_column(draft, mentions, place)
            if column is not None and function == "sum" and self._is_one_row(draft):
                draft.select.append(column)  # the total of invoice 404 is a column of it
                draft.use(place, place + 1, 1.0)
                return
            if column is not None:
                self._set(draft, (function, column), place)
                return
        if "how much" in " ".join(words):
            self._add_amount(draft, mentions, words)

    def _is_name_only(self, draft: Draft, mentions: Mentions, name: TermMention) -> bool:
        """Return True where "maximum salary" is a column of one row, or of another kind.

        "The average height of the characters" is of them, though species have a column so called.
        """
        own = [each for each in name.of("column") if each.kind == draft.kind and each.exact]
        words = name.words_of(mentions.tokens)
        full = [each for each in own if len(words_of(each.column)) >= len(words)]
        if not full:
            named = {t.kind for m in mentions.terms for t in m.of("kind") if t.exact}
            return not own or draft.kind not in named
        if self._is_single(draft):
            draft.select.append(full[0].column)
            draft.use(name.start, name.end, 1.0)
        return self._is_single(draft)

    def _add_amount(self, draft: Draft, mentions: Mentions, words: list[str]) -> None:
        """Read "how much": the price of a named row, else the sum over the rows."""
        place = words.index("much")
        column = self._aggregate_column(draft, mentions, place) or self._money(draft.kind)
        if column is None:
            return
        paid = self._columns.dimension(draft.kind, "money")
        costs = _COSTING & set(words) and not _is_money(column)
        priced = paid is not None and paid[0] == column
        spoken = set(words_of(column)) & set(MONEY) or _says(mentions, draft.kind, column)
        if not priced and (costs or not spoken):
            draft.assumed.append(f"how much (taken for {phrase_of(column)})")
        if self._is_single(draft):
            draft.select.append(column)
            draft.use(place - 1, place + 1, 1.0)
            draft.bonus += 0.3
        else:
            self._set(draft, ("sum", column), place)
        for number, word in enumerate(words):
            if AGGREGATES.get(word) == "sum" or word in _COSTING:
                draft.use(number, number + 1, 1.0)

    def _set(self, draft: Draft, measure: tuple[str, str], place: int) -> None:
        draft.aggregate = Aggregate.model_validate({"function": measure[0], "column": measure[1]})
        draft.use(place, place + 1, 1.0)
        draft.bonus += 0.3

    def _is_single(self, draft: Draft) -> bool:
        """Return True where the conditions name one row."""
        facts = self._catalog.kinds[draft.kind]
        naming_columns = {*facts.key, *facts.title}
        columns = {getattr(condition, "column", None) for condition in draft.root.conditions}
        return bool(columns & naming_columns)

    def _is_one_row(self, draft: Draft) -> bool:
        """Return True where the conditions give the whole key."""
        key = self._catalog.kinds[draft.kind].key
        columns = {getattr(condition, "column", None) for condition in draft.root.conditions}
        return bool(key) and set(key) <= columns

    def _aggregate_column(self, draft: Draft, mentions: Mentions, place: int) -> str | None:
        numeric = self._columns.numeric(draft.kind)
        nearest_mentions = sorted(mentions.terms, key=lambda mention: abs(mention.start - place))
        for mention in nearest_mentions:
            for term in mention.of("column"):
                near_by = abs(mention.start - place) <= AGGREGATED_GAP
                if (
                    near_by
                    and term.exact
                    and term.kind == draft.kind
                    and term.column not in numeric
                ):
                    return None  # "average name": not a number
                if near_by and term.kind == draft.kind and term.column in numeric:
                    draft.use(mention.start, mention.end, 1.0)
                    return term.column
        default = self._columns.default_measure(draft.kind)
        for mention in mentions.terms if default else ():  # "pay" in front of "in total"
            if default and any(
                (t.kind, t.column) == (draft.kind, default[0]) for t in mention.terms
            ):
                draft.use(mention.start, mention.end, 0.8)
        return default[0] if default else None

    def _money(self, kind: str) -> str | None:
        money_column = self._columns.dimension(kind, "money") or self._columns.default_measure(kind)
        return money_column[0] if money_column else None


def _says(mentions: Mentions, kind: str, column: str) -> bool:
    """Return True where words name a column or resemble it."""
    return any(
        (term.kind, term.column) == (kind, column)
        for mention in mentions.terms
        for term in mention.of("column")
    )


def _is_money(column: str) -> bool:
    return words_of(column)[-1] in MONEY


def _is_kind(noun: TermMention, kind: str) -> bool:
    """Return True where a noun names a kind rather than a column of ``kind``."""
    column = any(term.exact and term.kind == kind for term in noun.of("column"))
    return any(t.exact or (t.weight >= KIND_MIN and not column) for t in noun.of("kind"))
