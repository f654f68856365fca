"""Words that ask for a count, a sum or an average, and those that only look so."""

from collections.abc import Sequence

from router.catalog.identifiers import words_of

ADVERBS = {"monthly": "month", "yearly": "year", "annually": "year", "daily": "day"}
_BEFORE_NUMBER = frozenset(
    ("", "the", "total", "a", "me", "give", "show", "exact", "overall", *ADVERBS)
)


def count_place(words: Sequence[str], counted: int | None) -> int | None:
    """Return the place behind "how many" or "number of", where rows are counted."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        behind = words[place + 1] if place + 1 < len(words) else ""
        asks = word == "how" and behind in ("many", "often")
        asks |= word in ("number", "count") and behind == "of" and before in _BEFORE_NUMBER
        if asks:
            return place + 2 if counted is None or counted > place else None
    return 1 if list(words[:1]) == ["count"] else None


def is_aggregate(words: Sequence[str], place: int) -> bool:
    """Tell "the total of", "total value" and "average price" from "a total greater than"."""
    before = words[place - 1] if place else ""
    behind = words[place + 1 : place + 3]
    if before == "in" and words[place] == "total":
        return words[0] in ("what", "how")
    if before in ("a", "with", "in", "by", "their", "its", "whose", "highest", "lowest"):
        return False
    if words[place] in ("overall", "altogether"):
        return "how" in words[:place] or "what" in words[:place]
    if behind[:1] and behind[0] in (
        "is",
        "greater",
        "more",
        "over",
        "above",
        "below",
        "number",
    ):
        return False
    return words[place] != "total" or bool(behind)


PIECES = frozenset(("unit", "units", "piece", "pieces", "item", "items", "copy", "copies"))


def is_quantity(column: str) -> bool:
    """Return True for the quantity of a line, which "how many units" asks for."""
    return words_of(column)[-1] in ("quantity", "qty")
