"""Texts that every chart of the console uses."""

from datetime import datetime

from markupsafe import Markup, escape


def title(text: str) -> Markup:
    """Return a tooltip and accessible name; the text is escaped."""
    return Markup("<title>{}</title>").format(escape(text))


def format_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
