"""Words of hierarchies: who is above whom, and which end of a link that is."""

from router.catalog.identifiers import words_of
from router.catalog.model import CatalogLink

SUPERIORS = frozenset(
    ["boss", "manager", "supervisor", "superior", "head", "chief", "leader", "parent"]
)
INFERIORS = frozenset(
    ["subordinate", "subordinates", "report", "team", "child", "children", "underling"]
)
HIERARCHY = SUPERIORS | INFERIORS
UNDER = ("work under", "works under", "working under", "work for", "works for", "working for")
"""Phrases of an inferior, where the far end is a superior: not every employer is one."""
_ABOVE = frozenset(["manages", "supervises", "leads", "heads", "manage", "supervise", "lead"])
_BELOW = frozenset(
    [
        "reports",
        "report",
        "manager",
        "supervisor",
        "boss",
        "parent",
        "superior",
        "chief",
        "leader",
        "head",
    ]
)


_BENEATH = frozenset(["child", "subordinate", "part", "member"])


def superior_end(link: CatalogLink) -> str | None:
    """Return which end of a hierarchy is above: ``end`` for "reports to", ``start`` for "manages".

    None where the link is not a hierarchy.
    """
    words = set(words_of(link.name))
    if "of" in words and words & (_BELOW | _BENEATH):  # A is PARENT_OF B, or CHILD_OF B
        return "end" if words & _BENEATH else "start"
    if words & _ABOVE:
        return "start"
    return "end" if words & _BELOW else None
