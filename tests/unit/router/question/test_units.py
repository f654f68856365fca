"""A number with a unit is compared in the unit of the column."""

import pytest

from router.question.language.units import conversion, is_unit


@pytest.mark.parametrize(
    ("unit", "column", "factor"),
    [
        ("minutes", ("duration", "ms"), 60_000),
        ("hours", ("runtime", "minutes"), 60),
        ("mb", ("size", "bytes"), 1_000_000),
        ("kg", ("weight", "g"), 1_000),
        ("minutes", ("price",), None),
        ("minutes", ("weight", "kg"), None),
    ],
)
def test_conversion(unit: str, column: tuple[str, ...], factor: float | None) -> None:
    assert is_unit(unit)
    assert conversion(unit, column) == factor
