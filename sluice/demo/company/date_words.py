"""Dates as records and questions write them."""

from datetime import date


def long_date(day: date) -> str:
    """Return a date such as ``12 March 2026``."""
    return f"{day.day} {day:%B} {day.year}"
