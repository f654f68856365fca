"""From a question to a filter: kinds, conditions on attributes, dates, order, and whether to count.

A deterministic grammar over the catalogue of the data. It produces values, never SQL:
``statements.py`` turns a filter into one parameterised statement.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date

from router.backends.catalogue import Attribute, Catalogue
from router.backends.conditions import Condition, Filter, Operator, Value
from router.backends.windows import MONTHS, window_of
from router.backends.words import STOPWORDS, fold, is_identifier, name_candidates

_NUMBER = r"(?P<number>\d{1,3}(?:[ ,]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<unit>k|m)?\b(?!-)"
_COMPARISONS: tuple[tuple[str, Operator], ...] = (
    (r"(?:more than|greater than|over|above|exceeding|exceeds|higher than|bigger than)", ">"),
    (r"(?:less than|under|below|lower than|smaller than|cheaper than|fewer than)", "<"),
    (r"(?:at least|no less than|minimum of)", ">="),
    (r"(?:at most|no more than|up to|maximum of)", "<="),
    (r">=", ">="),
    (r"<=", "<="),
    (r">", ">"),
    (r"<", "<"),
)
_EXPLICIT = re.compile(
    r"(?P<name>[A-Za-z][\w ]*?)\s*(?P<op>>=|<=|!=|==|=|>|<)\s*"
    r"(?P<value>'[^']*'|\"[^\"]*\"|\d{1,3}(?:,\d{3})+(?:\.\d+)?[km]?\b|[\w.-]+)"
)
_COUNT = re.compile(r"\b(how many|number of|count(?: of)?|total number)\b", re.IGNORECASE)
_LARGEST = re.compile(
    r"\b(largest|highest|biggest|most expensive|top|maximum|max|longest)\b", re.IGNORECASE
)
_SMALLEST = re.compile(r"\b(smallest|lowest|cheapest|minimum|min|least|shortest)\b", re.IGNORECASE)
_NEGATED = re.compile(r"\b(not|never|without|except|excluding|isn't|aren't|no)\s+$")
_PROPER = re.compile(r"\b[A-ZÀ-Þ][\w-]*(?: [A-ZÀ-Þ][\w-]*)*")
_MONEY = ("amount", "price", "cost", "value", "total", "budget")


def parse(question: str, catalogue: Catalogue, today: date) -> Filter:
    """Never raises: a question without conditions is an empty filter."""
    rest, explicit, unknown = _explicit(question, catalogue)
    folded = fold(rest)
    kinds = frozenset(filter(None, (catalogue.kind_named(word) for word in folded.split())))
    compared, unclear = _comparisons(rest, catalogue)
    demanded = [*explicit, *compared]
    unfit = [str(c) for c in demanded if not _fits(c, kinds, catalogue)]
    conditions = [c for c in (*demanded, *_values(folded, catalogue)) if _fits(c, kinds, catalogue)]
    order_by, descending = _order(rest, kinds, catalogue)
    return Filter(
        kinds=kinds,
        ids=tuple(word for word in folded.split() if is_identifier(word)),
        names=tuple(_names(rest, conditions, catalogue)),
        conditions=tuple(dict.fromkeys(conditions)),
        either=frozenset(_alternatives(conditions, fold(question))),
        window=window_of(rest, today),
        order_by=order_by,
        descending=descending,
        count=bool(_COUNT.search(question)),
        left_out=tuple(dict.fromkeys((*unknown, *unclear, *unfit))),
        words=question,
    )


def _names(question: str, conditions: list[Condition], catalogue: Catalogue) -> Iterator[str]:
    """Proper names ("Baltic Foods") that no condition has used up; dates and kinds are none."""
    used = " ".join(fold(str(condition.value)) for condition in conditions).split()
    for match in _PROPER.finditer(question):
        words = [
            word
            for word in match[0].split()
            if fold(word) not in {*STOPWORDS, *MONTHS, *used}
            and not is_identifier(word)
            and not catalogue.kind_named(word)
        ]
        sentence_start = match.start() == 0 and len(words) == 1
        if words and not sentence_start:
            yield " ".join(words)


def _fits(condition: Condition, kinds: frozenset[str], catalogue: Catalogue) -> bool:
    """A value that only other kinds carry was not meant: "open road" names no open invoice."""
    attribute = catalogue.attributes.get(condition.attribute)
    return attribute is None or not kinds or bool(kinds & attribute.kinds)


def _alternatives(conditions: Iterable[Condition], folded: str) -> Iterator[str]:
    """Attributes whose values the question joins by "or"."""
    values: dict[str, list[str]] = {}
    for condition in conditions:
        if condition.operator == "=":
            values.setdefault(condition.attribute, []).append(fold(condition.said))
    for attribute, named in values.items():
        at = [folded.find(value) for value in named]
        between = folded[min(at) : max(at)].split() if min(at) >= 0 else []
        if "or" in between and "and" not in between:
            yield attribute


def _explicit(question: str, catalogue: Catalogue) -> tuple[str, list[Condition], list[str]]:
    """``status = 'active' and weight >= 10``; the rest of the question; what no attribute fits."""
    found: list[Condition] = []
    unknown: list[str] = []
    for match in _EXPLICIT.finditer(question):
        attribute = _attribute_at_end(match["name"], catalogue)
        value = _typed(match["value"].strip("'\""), attribute, catalogue) if attribute else None
        if attribute is None or value is None:
            name = match["name"].rsplit(maxsplit=1)[-1]
            if not (match["op"] in ("=", "==") and _by_words(name, match["value"], catalogue)):
                unknown.append(f"{name} {match['op']} {match['value']}")
            # Its words may still name something; its number must not look for another attribute.
            question = question.replace(match[0], f"{match['name']} {match['value']}", 1)
            continue
        operator: Operator = "=" if match["op"] == "==" else match["op"]  # type: ignore[assignment]  # the pattern admits operators only
        found.append(Condition(attribute.name, operator, value))
        question = question.replace(match[0], match["name"].rsplit(maxsplit=1)[0] + " ", 1)
    return question, found, unknown


def _by_words(name: str, value: str, catalogue: Catalogue) -> bool:
    """``id = 'INV-7'``, ``kind = 'invoice'``, ``name = 'Nordwind'``: its words alone say as much."""
    word = value.strip("'\"")
    if name.lower() in ("kind", "type"):
        return catalogue.kind_named(word.lower()) is not None
    return name.lower() in ("id", "title", "name") and (
        is_identifier(word) or bool(_PROPER.fullmatch(word))
    )


def _attribute_at_end(words: str, catalogue: Catalogue) -> Attribute | None:
    parts = words.lower().replace("_", " ").split()
    for size in range(min(3, len(parts)), 0, -1):
        attribute = catalogue.attribute_named(" ".join(parts[-size:]))
        if attribute:
            return attribute
    return None


def _typed(text: str, attribute: Attribute, catalogue: Catalogue) -> Value | None:
    if attribute.type == "number":
        number = re.fullmatch(_NUMBER, text.lower().replace(",", ""))
        return _number(number) if number else None
    if attribute.type == "boolean":
        return text.lower() in ("true", "yes", "1")
    return catalogue.spelled.get((attribute.name, fold(text)), text)


def _comparisons(question: str, catalogue: Catalogue) -> tuple[list[Condition], list[str]]:
    """``over 5,000 euro``; and what was compared of which no attribute is known."""
    text = question.lower()
    found: list[Condition] = []
    unclear: list[str] = []
    for pattern, operator in _COMPARISONS:
        for match in re.finditer(rf"{pattern}\s*(?:€|\$|£|eur|usd)?\s*{_NUMBER}", text):
            attribute = _compared(text, match, catalogue)
            if attribute:
                found.append(Condition(attribute.name, operator, _number(match)))
            else:
                unclear.append(match[0])
    return found, unclear


def _number(match: re.Match[str]) -> float:
    scale = {"k": 1_000.0, "m": 1_000_000.0}.get(match["unit"] or "", 1.0)
    return float(re.sub(r"[ ,]", "", match["number"])) * scale


def _compared(text: str, match: re.Match[str], catalogue: Catalogue) -> Attribute | None:
    """The numeric attribute meant: named just before, named after, or the amount of money."""
    numeric = {name: a for name, a in catalogue.attributes.items() if a.type == "number"}
    before = fold(text[: match.start()]).split()[-4:]
    after = fold(text[match.end() :]).split()[:3]
    for word in [*reversed(before), *after]:
        for name, attribute in sorted(numeric.items()):
            if word not in STOPWORDS and word in name.split("_"):
                return attribute
    kinds = {catalogue.kind_named(word) for word in fold(text).split()}
    usable = [a for _, a in sorted(numeric.items()) if not kinds - {None} or a.kinds & kinds]
    money = [a for a in usable if any(word in a.name.split("_") for word in _MONEY)]
    return money[0] if money else (usable[0] if len(usable) == 1 else None)


def _values(folded: str, catalogue: Catalogue) -> Iterator[Condition]:
    """Values the data knows, named in the question: ``overdue``, ``Anna Kowalski``."""
    taken = f" {folded} "
    for candidate in name_candidates(folded):
        names = catalogue.values.get(candidate)
        at = taken.find(f" {candidate} ")
        if not names or at < 0 or catalogue.kind_named(candidate):
            continue
        operator: Operator = "!=" if _NEGATED.search(taken[: at + 1]) else "="
        name = _named_attribute(names, folded, catalogue)
        yield Condition(name, operator, catalogue.spelled[name, candidate])
        taken = taken.replace(f" {candidate} ", " | ", 1)


def _named_attribute(names: frozenset[str], folded: str, catalogue: Catalogue) -> str:
    """Of several attributes with this value, the one the question's words or kinds point to."""
    words = folded.split()
    kinds = {catalogue.kind_named(word) for word in words}

    def preference(name: str) -> tuple[bool, bool, str]:
        named = any(part in words for part in name.split("_"))
        return (not named, not (catalogue.attributes[name].kinds & kinds), name)

    return min(names, key=preference)


def _order(question: str, kinds: frozenset[str], catalogue: Catalogue) -> tuple[str | None, bool]:
    descending = bool(_LARGEST.search(question))
    if not descending and not _SMALLEST.search(question):
        return None, True
    numeric = [
        a
        for _, a in sorted(catalogue.attributes.items())
        if a.type == "number" and (not kinds or a.kinds & kinds)
    ]
    words = fold(question).split()
    named = [a for a in numeric if any(part in words for part in a.name.split("_"))]
    money = [a for a in numeric if any(part in _MONEY for part in a.name.split("_"))]
    best = next(iter(named or money or numeric), None)
    return (best.name if best else None), descending
