"""The order that a superlative asks for: "the longest", "the most albums", "spent the most money"."""

from router.catalog.identifiers import phrase_of, words_of
from router.catalog.model import Catalog
from router.catalog.paths import SchemaPaths
from router.question.columns import ColumnChoice, ColumnFinder
from router.question.draft import Draft
from router.question.form import LinkStep, Measure, SortKey
from router.question.language.extremes import Extreme, find_extremes
from router.question.language.grammar import DIMENSIONS, MONEY, WHO, superlative
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention
from router.question.language.value_mentions import ValueMention
from router.question.relations import Relations

_MONEY_WORDS = frozenset(
    (*MONEY, "money", "spent", "paid", "earned", "earn", "earns", "earning", "sold", "turnover")
)
_SIZES = frozenset((*MONEY, *DIMENSIONS["size"]))
"""Words of columns that "the largest" grades without a doubt."""
_SORTING = frozenset(("ordered", "sorted", "ranked", "order", "sort", "rank"))
_COUNTING = frozenset(("most", "fewest", "least", "highest", "lowest", "largest", "top"))
COUNTED_GAP = 3
_DOWNWARDS = frozenset(("descending", "desc", "downwards"))
KIND_MIN, MONEY_MIN, NAMED_MIN = 0.55, 0.5, 0.4
"""Sureness from which words name a kind, a column of money, any column."""


class OrderReader:
    """Adds the order of a question to a draft."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns
        self._relations = Relations(catalog, paths)

    def add_order(self, draft: Draft, mentions: Mentions) -> None:
        """Read superlatives; the first that leads to a column or a count decides."""
        if draft.aggregate is not None:
            return
        if self._sorted_by(draft, mentions):
            return
        for extreme in sorted(find_extremes(mentions), key=lambda each: each.adjective is None):
            measure = self._measure(draft, mentions, extreme)
            if measure is None:
                continue
            aged = extreme.adjective is not None and extreme.adjective.dimension == "age"
            grows = aged and measure.column == self._columns.age(draft.kind)
            grows |= self._lasts(draft, extreme, measure)
            draft.order = SortKey(measure=measure, descending=extreme.descending != grows)
            graded = (
                mentions.tokens[extreme.place].folded in ("most", "least") and extreme.adjective
            ) or _behind(mentions, extreme.place) in _OFTEN
            draft.use(extreme.place, extreme.place + 1 + bool(graded), 1.0)
            draft.bonus += 0.3
            if draft.limit is None:
                draft.limit = 1
            return
        if draft.limit is not None:  # "in the first 10 minutes"
            draft.assumed.append(str(draft.limit))
        draft.limit = None

    def _lasts(self, draft: Draft, extreme: Extreme, measure: Measure) -> bool:
        """Return True for a time of which "the longest" is the earliest: employed since 1999."""
        length = extreme.adjective is not None and extreme.adjective.dimension == "length"
        return length and not measure.path and measure.column in self._columns.temporal(draft.kind)

    def _sorted_by(self, draft: Draft, mentions: Mentions) -> bool:
        """Read "ordered by total descending" and "sorted by name"."""
        tokens = mentions.tokens
        for mention in mentions.terms:
            before = [token.folded for token in tokens[max(mention.start - 2, 0) : mention.start]]
            if before[-1:] != ["by"] or draft.used.get(mention.start):
                continue
            sorting = before[0] in _SORTING
            for term in mention.of("column"):
                is_own = term.kind == draft.kind and not term.link and (sorting or term.exact)
                if is_own and (sorting or not _has_extreme(mentions)):
                    words_after = {token.folded for token in tokens[mention.end : mention.end + 2]}
                    measure = Measure(column=term.column)
                    draft.order = SortKey(
                        measure=measure, descending=bool(words_after & _DOWNWARDS)
                    )
                    draft.use(mention.start - 2, mention.end + bool(words_after & _DOWNWARDS), 1.0)
                    return True
        return False

    def _measure(self, draft: Draft, mentions: Mentions, extreme: Extreme) -> Measure | None:
        counted = self._count_measure(draft, mentions, extreme)
        if counted is not None:
            return counted
        column = self._column(draft, mentions, extreme)
        return Measure(column=column) if column else None

    def _count_measure(self, draft: Draft, mentions: Mentions, extreme: Extreme) -> Measure | None:
        """Read "the most albums" and "spent the most money"."""
        word = mentions.tokens[extreme.place].folded
        if extreme.adjective is not None:
            return None
        for mention in mentions.terms if word in _COUNTING else ():
            if not _is_counted(mention, mentions, extreme.place):
                continue
            measure = self._count_of(draft, mentions, mention)
            if measure is not None:
                draft.use(mention.start, mention.end, 1.0)
                _use_verb(draft, mentions, extreme.place)
                return measure
        if word in ("most", "least") and (
            used := self._use_measure(draft, mentions, extreme.place)
        ):
            return used
        if word in ("most", "least") and self._spends(mentions, extreme.place):
            return self._earnings_measure(draft, mentions) or self._spending_measure(
                draft, mentions
            )
        return None

    def _use_measure(self, draft: Draft, mentions: Mentions, place: int) -> Measure | None:
        """Read "the most used tag": the rows that are linked to it, where one link leads there."""
        if _behind(mentions, place) not in _USED:
            return None
        steps = [step for step in self._paths.steps(draft.kind) if step.reverse]
        if len(steps) != 1:
            return None
        draft.use(place, place + 2, 1.0)
        return Measure(function="count", path=(LinkStep(link=steps[0].link, reverse=True),))

    def _count_of(self, draft: Draft, mentions: Mentions, mention: TermMention) -> Measure | None:
        kind = self._other_kind(draft.kind, mention)
        if kind is not None:
            return self._over(draft, mentions, mention, kind)
        step = self._relations.counted_link(draft.kind, mention, mentions)
        return Measure(function="count", path=(step,)) if step else None

    def _earnings_measure(self, draft: Draft, mentions: Mentions) -> Measure | None:
        """Read "earns the most" of a kind that has a salary itself."""
        dimension_column = self._columns.dimension(draft.kind, "income")
        if dimension_column is None:
            return None
        for place, token in enumerate(mentions.tokens):
            if token.folded in _MONEY_WORDS:
                draft.use(place, place + 1, 0.9)
        return Measure(column=dimension_column[0])

    @staticmethod
    def _other_kind(kind: str, mention: TermMention) -> str | None:
        """Return the kind that words name, where it is another one than ``kind``."""
        kind_terms = [term for term in mention.of("kind") if term.weight >= KIND_MIN]
        if not kind_terms or any(term.kind == kind for term in mention.of("kind")):
            return None
        column_weights = [term.weight for term in mention.of("column") if term.kind == kind]
        return (
            kind_terms[0].kind if kind_terms[0].weight > max(column_weights, default=0.0) else None
        )

    def _over(
        self, draft: Draft, mentions: Mentions, mention: TermMention, kind: str
    ) -> Measure | None:
        paths = self._paths.between(draft.kind, kind)
        place = ValueMention(mention.start, mention.end, ())
        scored = [self._relations.score_path(path, place, mentions, draft.kind) for path in paths]
        best = max(scored, key=lambda option: option.score, default=None)
        if best is None:
            return None
        for words, weight in best.mentions:
            draft.use(words.start, words.end, weight)
        steps = tuple(LinkStep(link=step.link, reverse=step.reverse) for step in best.path)
        return Measure(function="count", path=steps)

    @staticmethod
    def _spends(mentions: Mentions, place: int) -> bool:
        nearby_tokens = mentions.tokens[max(place - 4, 0) : place + 3]
        return any(token.folded in _MONEY_WORDS for token in nearby_tokens)

    def _spending_measure(self, draft: Draft, mentions: Mentions) -> Measure | None:
        """Sum the money column of the nearest kind with many rows for one of the asked kind."""
        for kind in self._catalog.visible_kinds:
            if kind == draft.kind:
                continue
            paths = self._paths.between(draft.kind, kind)
            if paths and len(paths[0]) == 1 and paths[0][0].reverse:
                money = self._columns.dimension(kind, "money")
                if money is not None and money[1] > MONEY_MIN:
                    for place, token in enumerate(mentions.tokens):
                        if token.folded in _MONEY_WORDS:
                            draft.use(place, place + 1, 0.9)
                    step = LinkStep(link=paths[0][0].link, reverse=True)
                    return Measure(function="sum", path=(step,), column=money[0])
        return None

    def _column(self, draft: Draft, mentions: Mentions, extreme: Extreme) -> str | None:
        kind, around = draft.kind, (extreme.place, extreme.place + 1)
        for allowed in ("numeric", "temporal"):
            named_choices = [
                choice
                for choice in self._columns.mentioned_columns(kind, mentions, around, allowed)
                if not choice.path
                and choice.place
                and choice.place != around  # "last" names no "last update"
                and choice.weight >= NAMED_MIN
            ]
            word = mentions.tokens[extreme.place].folded
            fitting = [c for c in named_choices if _fits(extreme, allowed, c, word)]
            if fitting:
                best = max(fitting, key=lambda choice: choice.weight)
                if best.place:
                    draft.use(*best.place, 1.0)
                    if draft.limit is None:
                        draft.select.append(best.column)  # "the highest freight" asks for it
                return best.column
        return self._graded_column(draft, mentions, extreme)

    def _graded_column(self, draft: Draft, mentions: Mentions, extreme: Extreme) -> str | None:
        """Return the column that a superlative grades by itself: "the oldest", "the highest"."""
        kind, adjective = draft.kind, extreme.adjective
        dimension = adjective.dimension if adjective is not None else ""
        if mentions.tokens[extreme.place].folded in ("highest", "lowest"):
            dimension = "height"
        found = self._columns.graded_column(kind, dimension) if dimension else None
        if found is not None:
            return found
        if dimension == "length" and _behind(mentions, extreme.place) in _SERVING:
            draft.use(extreme.place + 1, extreme.place + 2, 1.0)
            return self._catalog.kinds[kind].date
        if adjective is not None and dimension != "size":
            return None
        default = self._columns.default_measure(kind)
        word = mentions.tokens[extreme.place]
        sized = default and set(words_of(default[0])) & _SIZES
        if default and superlative(word.folded) is not None and not sized:
            draft.assumed.append(f"{word.text} (taken for {phrase_of(default[0])})")
        if default and adjective is None and draft.limit is None:
            draft.select.append(default[0])  # "the highest payment" asks for how much
        return default[0] if default else None


def _fits(extreme: Extreme, allowed: str, choice: ColumnChoice, word: str) -> bool:
    """Return True where a superlative may grade a column: "the latest" no number."""
    if extreme.adjective is None:
        is_adjacent = choice.place is not None and choice.place[0] == extreme.place + 1
        return allowed == "numeric" or (is_adjacent and word in _OF_TIMES)
    temporal = extreme.adjective.dimension in ("age", "date")
    return temporal == (allowed == "temporal") or extreme.adjective.dimension == "length"


_OF_TIMES = frozenset(("max", "maximum", "min", "minimum", "highest", "lowest", "top"))
"""Superlatives of times as well as numbers: nothing has the biggest date."""


def _has_extreme(mentions: Mentions) -> bool:
    return next(find_extremes(mentions), None) is not None


def _use_verb(draft: Draft, mentions: Mentions, place: int) -> None:
    """Account for the verb of "who scored the most goals": it is how people have goals."""
    words = [token.folded for token in mentions.tokens[max(place - 3, 0) : place]]
    if len(words) == len(("who", "scored", "the")) and words[0] in WHO and words[-1] == "the":
        draft.use(place - 2, place - 1, VERB_OF_COUNTED)


VERB_OF_COUNTED = 1.0


def _is_counted(mention: TermMention, mentions: Mentions, place: int) -> bool:
    """Return True for what "the most" counts: "most orders", "prescribed most often", "by number of"."""
    if 0 < mention.start - place <= COUNTED_GAP:
        return True
    if _behind(mentions, place) in _OFTEN:
        return 0 <= place - mention.end < COUNTED_GAP
    return is_number_of(mentions, mention.start)


_USED = frozenset(("used", "popular", "common", "frequent", "frequently", "widely"))
_SERVING = frozenset(("serving", "standing", "established", "employed"))
"""Words behind "longest" that ask for the earliest date."""
_OFTEN = frozenset(("often", "frequently", "times"))


def _behind(mentions: Mentions, place: int) -> str:
    return mentions.tokens[place + 1].folded if place + 1 < len(mentions.tokens) else ""


def is_number_of(mentions: Mentions, start: int) -> bool:
    """Return True where "number of" comes in front of the token ``start``."""
    before = [token.folded for token in mentions.tokens[max(start - 2, 0) : start]]
    return before in (["number", "of"], ["count", "of"])
