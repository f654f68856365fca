"""How dates are written in records and questions."""

from datetime import date


def long_date(day: date) -> str:
    """``12 March 2026``."""
    return f"{day.day} {day:%B} {day.year}"
