"""The groups of an aggregate: "per country", "for each genre", "by year"."""

from router.catalog.model import TEMPORAL, Catalog
from router.catalog.paths import SchemaPaths
from router.catalog.vocabulary import Term
from router.question.columns import ColumnFinder
from router.question.draft import Draft
from router.question.form import UNIT_LETTERS, Aggregate, LinkStep
from router.question.language.aggregates import ADVERBS
from router.question.language.mentions import Mentions

_GROUPING = frozenset(("per", "by", "each", "every"))


class GroupReader:
    """Adds groups to a draft's aggregate."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns

    def add_group(self, draft: Draft, mentions: Mentions) -> None:
        """Read "per country", "for each genre", "by year", "each month"."""
        if self._add_period(draft, mentions):
            return
        for mention in mentions.terms:
            before = [token.folded for token in mentions.tokens[: mention.start]]
            if not before or not (before[-1] in _GROUPING or before[-2:] == ["for", "each"]):
                continue
            if any(term.sort == "kind" and term.kind == draft.kind for term in mention.terms):
                draft.use(mention.start - 1, mention.end, 1.0)  # "average freight per order"
                continue
            for term in mention.terms:
                if self._group(draft, term):
                    draft.use(mention.start - 1, mention.end, term.weight)
                    return

    def _add_period(self, draft: Draft, mentions: Mentions) -> bool:
        words = [token.folded for token in mentions.tokens]
        for place, word in enumerate(words[1:], start=1):
            spoken = word in UNIT_LETTERS and words[place - 1] in _GROUPING
            unit = word if spoken else ADVERBS.get(word)
            column = self._grouping_date(draft, mentions, place) if unit else None
            if unit is None or column is None:
                continue
            facts = self._catalog.kinds[draft.kind].columns[column]
            temporal = facts.type in TEMPORAL or facts.unit == "date"
            draft.aggregate = (draft.aggregate or Aggregate(function="count")).model_copy(
                update={"group_by": (column,), "unit": unit if temporal else None}
            )
            draft.use(place - spoken, place + 1, 1.0)
            return True
        return False

    def _grouping_date(self, draft: Draft, mentions: Mentions, place: int) -> str | None:
        """Return the date by which rows are grouped: the one that words name, else the kind's."""
        choices = self._columns.mentioned_columns(
            draft.kind, mentions, (place, place + 1), "temporal"
        )
        own_choices = [choice for choice in choices if not choice.path]
        best = max(own_choices, key=lambda choice: choice.weight, default=None)
        return best.column if best else self._catalog.kinds[draft.kind].date

    def _group(self, draft: Draft, term: Term) -> bool:
        """Group by a column, or by the rows of another kind, called by their titles."""
        is_other_kind = term.kind != draft.kind
        if term.sort not in ("kind", "column") or (term.sort == "kind" and not is_other_kind):
            return False
        by_rows = term.sort == "kind"
        facts = self._catalog.kinds[term.kind]
        names = (facts.title or facts.key) if by_rows else (term.column,)
        paths = list(self._paths.between(draft.kind, term.kind)) if is_other_kind else [()]
        if not names or not paths:
            return False
        steps = tuple(LinkStep(link=step.link, reverse=step.reverse) for step in paths[0])
        draft.aggregate = (draft.aggregate or Aggregate(function="count")).model_copy(
            update={"group_by": names, "path": steps, "each": by_rows}
        )
        return True
