"""Row conditions of the catalogue, bound to who asks.

``where: ["tenant_id = $tenant"]`` of a kind holds wherever a form reaches that kind. A condition
that names a caller's value without which it cannot be decided refuses the question.
"""

import re
from collections.abc import Mapping

from router.catalog.errors import CatalogError
from router.catalog.model import CatalogKind
from router.question.form import Operator, Value, ValueCondition
from router.question.validation import validate_condition

_PATTERN = re.compile(
    r"^\s*(?P<column>\w+)\s*(?:(?P<operator>=|!=|<>|<=|>=|<|>)\s*(?P<value>\S.*?)"
    r"|(?P<null>is\s+(?P<not>not\s+)?null))\s*$",
    re.IGNORECASE,
)
_OPERATORS: dict[str, tuple[Operator, bool]] = {
    "=": ("=", False),
    "!=": ("=", True),
    "<>": ("=", True),
    "<": ("<", False),
    "<=": ("<=", False),
    ">": (">", False),
    ">=": (">=", False),
}


def row_conditions(
    name: str, kind: CatalogKind, caller: Mapping[str, str | None]
) -> tuple[ValueCondition, ...]:
    """Return the conditions that every row of ``kind`` must meet for ``caller``.

    ``caller`` maps ``tenant`` and ``user`` to their values.

    Raises:
        CatalogError: a condition is malformed, or needs a value that ``caller`` lacks.
    """
    return tuple(_condition(name, kind, text, caller) for text in kind.where)


def _condition(
    name: str, kind: CatalogKind, text: str, caller: Mapping[str, str | None]
) -> ValueCondition:
    match = _PATTERN.match(text)
    if match is None or match["column"] not in kind.columns:
        raise CatalogError(
            f"kinds: {name}: where: {text!r}: expected a column of {name}, an operator and a value,"
            " like tenant_id = $tenant"
        )
    column = match["column"]
    if match["null"]:
        return ValueCondition(column=column, operator="missing", negated=bool(match["not"]))
    operator, negated = _OPERATORS[match["operator"]]
    value = _bind_variable(match["value"], name, caller)
    condition = ValueCondition(column=column, operator=operator, values=(value,), negated=negated)
    return validate_condition(condition, kind.columns[column])


def _bind_variable(text: str, name: str, caller: Mapping[str, str | None]) -> Value:
    if not text.startswith("$"):
        return text.strip("'\"")
    variable = text.removeprefix("$")
    if variable not in ("tenant", "user"):
        raise CatalogError(f"kinds: {name}: where: {text!r}: expected $tenant or $user")
    value = caller.get(variable)
    if not value:
        raise CatalogError(f"{name}: questions about it need a {variable}")
    return value
