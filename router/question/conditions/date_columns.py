"""Date columns that a time of a question may restrict."""

from collections.abc import Iterator

from router.catalog.model import Catalog, is_temporal
from router.catalog.paths import SchemaPaths
from router.question.columns import LINK_COST, ColumnChoice, ColumnFinder, branches_of, length_of
from router.question.draft import Draft
from router.question.language.mentions import Mentions

LIFE_DATE = 0.35
"""Sureness of a person's own date: that they were hired or born then is rarely meant."""
BETWEEN = 0.48
"""Sureness of the date of what links the asked row to a value: "restored by X in 2023"."""
PASSED = 0.3
"""Sureness of the date of a row that the asked one belongs to: the race of a result."""


class DateColumns:
    """Finds the date columns of one catalogue."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns

    def _link_dates(self, target: str, mentions: Mentions) -> Iterator[ColumnChoice]:
        """Yield the times of relationships that words name: "members since 2018"."""
        for name in mentions.links:
            for column, facts in self._catalog.visible_links[name].properties.items():
                for step in self._paths.steps(target) if is_temporal(facts) else ():
                    if step.link == name and not facts.hide:
                        yield ColumnChoice((step,), step.end, column, 0.42, link=True)

    def _on_the_way(self, draft: Draft) -> Iterator[ColumnChoice]:
        """Yield the dates of kinds that the draft's links pass: who bought it *in 1997*."""
        for path, branch in branches_of(draft.root):
            link = self._catalog.visible_links[path[-1].link]
            for column, facts in link.properties.items():
                if is_temporal(facts) and not facts.hide:
                    yield ColumnChoice(path, branch.kind, column, 0.44, link=True)
            date = self._catalog.visible_kinds[branch.kind].date
            if date in self._catalog.visible_kinds[branch.kind].visible and date:
                life = self._columns.is_person(branch.kind)
                weight = BETWEEN if branch.branches else 0.4
                yield ColumnChoice(
                    path, branch.kind, date, (0.2 if life else weight) - 0.02 * len(path)
                )

    def choices(
        self, draft: Draft, mentions: Mentions, around: tuple[int, int]
    ) -> list[ColumnChoice]:
        """Return the date columns that a time may restrict, best first."""
        target = draft.kind
        choices = list(self._columns.mentioned_columns(target, mentions, around, "temporal"))
        facts = self._catalog.visible_kinds[target]
        date_weight = LIFE_DATE if self._columns.is_person(target) else 0.45
        choices += [
            ColumnChoice((), target, column, date_weight if column == facts.date else 0.25)
            for column in self._columns.temporal(target)
        ]
        choices += [*self._on_the_way(draft), *self._link_dates(target, mentions)]
        choices += self._owners(target)
        for kind in self._columns.neighbours(target, mentions):
            date = self._catalog.visible_kinds[kind].date
            path = self._columns.way(target, kind)
            if date in self._catalog.visible_kinds[kind].visible and date and path:
                choices.append(
                    ColumnChoice(path, kind, date, 0.4 - LINK_COST * length_of(path) / 2)
                )
        return sorted(choices, key=lambda choice: -choice.weight)

    def _owners(self, target: str) -> Iterator[ColumnChoice]:
        """Yield the dates of what rows without one belong to: the day of an order's line."""
        if self._columns.temporal(target):
            return
        for step in self._paths.steps(target):
            facts = self._catalog.visible_kinds[step.end]
            own = not step.reverse and not self._columns.is_person(step.end)
            if own and facts.date in facts.visible and facts.date:
                yield ColumnChoice((step,), step.end, facts.date, PASSED)
