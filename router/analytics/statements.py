"""SQL statements of the decision log, in router/analytics/sql."""

from functools import cache
from importlib.resources import files


@cache
def read_statement(name: str) -> str:
    """Return the statement in ``{name}.sql``."""
    return files("router.analytics").joinpath("sql", f"{name}.sql").read_text("utf-8")
