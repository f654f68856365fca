"""The column that a unit of measure fits, and numbers in that column's unit."""

from collections.abc import Iterator
from dataclasses import replace

from router.catalog.identifiers import phrase_of, words_of
from router.question.columns import ColumnChoice, ColumnFinder
from router.question.draft import Draft
from router.question.language.comparisons import Comparison
from router.question.language.grammar import MONEY
from router.question.language.units import conversion, fitting_unit, is_open, is_unit, measures

SIZED = 0.35
"""Sureness of a column that only the unit of a number names."""
CONVERTED, UNFIT = 2, 3
"""Misfits of a unit and a column: another unit of the same dimension; none that fits."""


SMALL_COINS, COINS = frozenset(("cent", "cents", "penny", "pence")), 100
"""Words of a column in the small coins of a currency, and how many of them are one of it."""


class UnitReader:
    """Fits units of measure to the columns of one catalogue."""

    def __init__(self, columns: ColumnFinder) -> None:
        self._columns = columns

    def fitting(
        self, kind: str, what: tuple[Comparison, str], choices: list[ColumnChoice]
    ) -> list[ColumnChoice]:
        """Return the columns that may be measured in a unit, best first."""
        number, unit = what
        own = [
            ColumnChoice((), kind, name, SIZED)
            for name in self._columns.numeric(kind)
            if measures(unit, words_of(name))
        ]
        misfits = [(self.misfit(unit, number, each), each) for each in (*choices, *own)]
        order = sorted(
            misfits, key=lambda pair: (pair[0] - (pair[0] == CONVERTED), -pair[1].weight, pair[0])
        )
        return [choice for _, choice in order]

    def misfit(self, unit: str, number: Comparison, choice: ColumnChoice) -> int:
        """Return how badly a column measures in ``unit``, 0 for one whose name says it."""
        words = words_of(choice.column)
        if conversion(unit, words) is not None:
            return 0
        samples = [float(each) for each in self._columns.facts(choice).samples]
        fitting = fitting_unit(unit, number.value, samples)
        if fitting is None or not measures(unit, words):
            return UNFIT
        return 1 if conversion(unit, (fitting,)) == 1 else CONVERTED

    def unpaid(self, choice: ColumnChoice, words: str) -> Iterator[str]:
        """Yield dollars that no money is compared with: pieces in stock are not worth 80 dollars."""
        paid = self._columns.dimension(choice.kind, "money")
        said = set(words_of(choice.column)) & {*MONEY, *SMALL_COINS}
        if choice.place is None and not said and (paid is None or paid[0] != choice.column):
            yield f"{words} (taken for {phrase_of(choice.column)})"

    def convert(
        self, draft: Draft, number: Comparison, unit: str, choice: ColumnChoice
    ) -> Comparison:
        """Convert a number to the column's unit; an unknown one is left out by name."""
        samples = [float(each) for each in self._columns.facts(choice).samples]
        if SMALL_COINS & set(words_of(choice.column)) and unit not in SMALL_COINS:
            if unit != "money":
                draft.assumed.append(f"{number.value:g} (taken for {phrase_of(choice.column)})")
                return number
            high = None if number.high is None else number.high * COINS
            return replace(number, value=number.value * COINS, high=high)
        if unit in ("percent", "%") and samples and max(samples) <= 1 < number.value:
            return replace(number, value=number.value / 100)  # a share from 0 to 1
        if not is_unit(unit):
            return number
        factor = conversion(unit, words_of(choice.column))
        if factor is None:
            fitting = fitting_unit(unit, number.value, samples)
            factor = conversion(unit, (fitting,)) if fitting else None
            if factor is not None and (factor != 1 or is_open(unit, number.value, samples)):
                draft.assumed.append(
                    f"{number.value:g} {unit} (taken for {number.value * factor:g} {fitting})"
                )
        if factor is None:
            draft.left_out.append(f"{number.value:g} {unit}")
            return number
        high = None if number.high is None else number.high * factor
        return replace(number, value=number.value * factor, high=high)
