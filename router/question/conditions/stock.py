"""Stock: "in stock" and "sold out", of a column that counts pieces or of a table of quantities."""

from router.catalog.identifiers import words_of
from router.catalog.model import NUMERIC, Catalog
from router.catalog.paths import SchemaPath, SchemaPaths
from router.question.columns import ColumnFinder
from router.question.draft import Draft
from router.question.form import ValueCondition
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention


class StockReader:
    """Adds to a draft that rows are in stock, or that they are not."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns

    def add_stock(self, draft: Draft, mentions: Mentions, mention: TermMention) -> bool:
        """Read "out of stock" and "in stock"; False where the words say neither."""
        before = [t.folded for t in mentions.tokens[max(mention.start - 2, 0) : mention.start]]
        is_out = before == ["out", "of"]
        is_in = before[-1:] == ["in"] and mention.words_of(mentions.tokens) == ("stock",)
        if not is_out and not (is_in and draft.aggregate is None):
            return False
        counted = self._own_column(draft, mention) or self._linked_column(draft, mention)
        if counted is None:
            return False
        path, column = counted
        empty = is_out != mention.negated
        draft.root.add(
            path, [ValueCondition(column=column, operator="=" if empty else ">", values=(0,))]
        )
        draft.negated |= mention.negated
        draft.use(mention.start - (2 if is_out else 1), mention.end, 1.0)
        return True

    def _own_column(self, draft: Draft, mention: TermMention) -> tuple[SchemaPath, str] | None:
        columns = self._catalog.kinds[draft.kind].visible
        for term in mention.of("column"):
            own = term.kind == draft.kind and not term.link and term.column in columns
            if own and columns[term.column].type in NUMERIC:
                return (), term.column
        return None

    def _linked_column(self, draft: Draft, mention: TermMention) -> tuple[SchemaPath, str] | None:
        """Return the quantity of a table that the words name and that joins the asked kind."""
        for term in mention.of("kind"):
            paths = self._paths.between(draft.kind, term.kind) if term.exact else ()
            counting = self._counting(term.kind)
            if term.kind != draft.kind and paths and counting:
                return paths[0], counting
        return None

    def _counting(self, kind: str) -> str | None:
        """Return the column that counts pieces."""
        names = self._columns.numeric(kind)
        return next((name for name in names if _PIECES & set(words_of(name))), None)


_PIECES = frozenset(("quantity", "stock", "count"))
