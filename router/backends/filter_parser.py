"""The grammar that parses a question into a filter: kinds, conditions, dates, order and count.

The grammar is deterministic and uses the catalogue of the data. It returns values, never SQL:
``sql_builder.py`` builds one parameterised statement from a filter.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date

from router.backends.conditions import Condition, Filter, Operator, Value
from router.backends.schema_catalog import Attribute, SchemaCatalog
from router.backends.time_expressions import parse_time_range
from router.backends.tokenization import STOPWORDS, fold, is_identifier, name_candidates
from router.english_words import MONTHS

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
_EXPLICIT_CONDITION = re.compile(
    r"(?P<name>[A-Za-z][\w ]{0,60}?)\s*(?P<op>>=|<=|!=|==|=|>|<)\s*"
    r"(?P<value>'[^']*'|\"[^\"]*\"|\d{1,3}(?:,\d{3})+(?:\.\d+)?[km]?\b|[\w.-]+)"
)
_COUNT_REQUEST = re.compile(r"\b(how many|number of|count(?: of)?|total number)\b", re.IGNORECASE)
_DESCENDING_ORDER = re.compile(
    r"\b(largest|highest|biggest|most expensive|top|maximum|max|longest)\b", re.IGNORECASE
)
_ASCENDING_ORDER = re.compile(
    r"\b(smallest|lowest|cheapest|minimum|min|least|shortest)\b", re.IGNORECASE
)
_TRAILING_NEGATION = re.compile(r"\b(not|never|without|except|excluding|isn't|aren't|no)\s+$")
_PROPER_NAME = re.compile(r"\b[A-ZÀ-Þ][\w-]*(?: [A-ZÀ-Þ][\w-]*)*")
_MONEY_WORDS = ("amount", "price", "cost", "value", "total", "budget")


def parse_filter(question: str, catalogue: SchemaCatalog, today: date) -> Filter:
    """Parse a question; never raise. A question without conditions gives an empty filter."""
    rest, explicit, unknown = _parse_explicit(question, catalogue)
    folded = fold(rest)
    kinds = frozenset(filter(None, (catalogue.find_kind(word) for word in folded.split())))
    compared, unclear = _parse_comparisons(rest, catalogue)
    demanded = [*explicit, *compared]
    unfit = [str(c) for c in demanded if not _is_applicable(c, kinds, catalogue)]
    conditions = [
        c
        for c in (*demanded, *_parse_known_values(folded, catalogue))
        if _is_applicable(c, kinds, catalogue)
    ]
    order_by, descending = _parse_order(rest, kinds, catalogue)
    return Filter(
        kinds=kinds,
        ids=tuple(word for word in folded.split() if is_identifier(word)),
        names=tuple(_unused_names(rest, conditions, catalogue)),
        conditions=tuple(dict.fromkeys(conditions)),
        alternative_attributes=frozenset(_alternative_attributes(conditions, fold(question))),
        time_range=parse_time_range(rest, today),
        order_by=order_by,
        descending=descending,
        count=bool(_COUNT_REQUEST.search(question)),
        left_out=tuple(dict.fromkeys((*unknown, *unclear, *unfit))),
        question=question,
    )


def _unused_names(
    question: str, conditions: list[Condition], catalogue: SchemaCatalog
) -> Iterator[str]:
    """Yield the proper names ("Baltic Foods") outside conditions, dates and kinds."""
    used = " ".join(fold(str(condition.value)) for condition in conditions).split()
    for match in _PROPER_NAME.finditer(question):
        words = [
            word
            for word in match[0].split()
            if fold(word) not in {*STOPWORDS, *MONTHS, *used}
            and not is_identifier(word)
            and not catalogue.find_kind(word)
        ]
        sentence_start = match.start() == 0 and len(words) == 1
        if words and not sentence_start:
            yield " ".join(words)


def _is_applicable(condition: Condition, kinds: frozenset[str], catalogue: SchemaCatalog) -> bool:
    """Return false for a value that only other kinds carry.

    The phrase "open road" does not refer to an open invoice.
    """
    attribute = catalogue.attributes.get(condition.attribute)
    return attribute is None or not kinds or bool(kinds & attribute.kinds)


def _alternative_attributes(conditions: Iterable[Condition], folded: str) -> Iterator[str]:
    """Yield the attributes whose values the question joins by "or"."""
    values: dict[str, list[str]] = {}
    for condition in conditions:
        if condition.operator == "=":
            values.setdefault(condition.attribute, []).append(fold(condition.value_text))
    for attribute, listed_values in values.items():
        at = [folded.find(value) for value in listed_values]
        between = folded[min(at) : max(at)].split() if min(at) >= 0 else []
        if "or" in between and "and" not in between:
            yield attribute


def _parse_explicit(
    question: str, catalogue: SchemaCatalog
) -> tuple[str, list[Condition], list[str]]:
    """Parse conditions such as ``status = 'active' and weight >= 10``.

    Return the rest of the question, the conditions, and the texts that fit no attribute.
    """
    conditions: list[Condition] = []
    unknown: list[str] = []
    for match in _EXPLICIT_CONDITION.finditer(question):
        attribute = _trailing_attribute(match["name"], catalogue)
        value = (
            _typed_value(match["value"].strip("'\""), attribute, catalogue) if attribute else None
        )
        if attribute is None or value is None:
            name = match["name"].rsplit(maxsplit=1)[-1]
            if not (
                match["op"] in ("=", "==") and _is_covered_by_words(name, match["value"], catalogue)
            ):
                unknown.append(f"{name} {match['op']} {match['value']}")
            # The words may still name a record, but the number must not match another attribute.
            question = question.replace(match[0], f"{match['name']} {match['value']}", 1)
            continue
        operator: Operator = "=" if match["op"] == "==" else match["op"]  # type: ignore[assignment]  # the pattern admits operators only
        conditions.append(Condition(attribute.name, operator, value))
        question = question.replace(match[0], match["name"].rsplit(maxsplit=1)[0] + " ", 1)
    return question, conditions, unknown


def _is_covered_by_words(name: str, value: str, catalogue: SchemaCatalog) -> bool:
    """Return true for a condition whose words alone mean the same, such as ``id = 'INV-7'``.

    Further examples are ``kind = 'invoice'`` and ``name = 'Nordwind'``.
    """
    word = value.strip("'\"")
    if name.lower() in ("kind", "type"):
        return catalogue.find_kind(word.lower()) is not None
    return name.lower() in ("id", "title", "name") and (
        is_identifier(word) or bool(_PROPER_NAME.fullmatch(word))
    )


def _trailing_attribute(words: str, catalogue: SchemaCatalog) -> Attribute | None:
    parts = words.lower().replace("_", " ").split()
    for size in range(min(3, len(parts)), 0, -1):
        attribute = catalogue.find_attribute(" ".join(parts[-size:]))
        if attribute:
            return attribute
    return None


def _typed_value(text: str, attribute: Attribute, catalogue: SchemaCatalog) -> Value | None:
    if attribute.type == "number":
        number = re.fullmatch(_NUMBER, text.lower().replace(",", ""))
        return _parse_number(number) if number else None
    if attribute.type == "boolean":
        return text.lower() in ("true", "yes", "1")
    return catalogue.stored_spellings.get((attribute.name, fold(text)), text)


def _parse_comparisons(
    question: str, catalogue: SchemaCatalog
) -> tuple[list[Condition], list[str]]:
    """Parse comparisons such as ``over 5,000 euro``; return also the texts that fit no attribute."""
    text = question.lower()
    conditions: list[Condition] = []
    unclear: list[str] = []
    for pattern, operator in _COMPARISONS:
        for match in re.finditer(rf"{pattern}\s*(?:€|\$|£|eur|usd)?\s*{_NUMBER}", text):
            attribute = _compared_attribute(text, match, catalogue)
            if attribute:
                conditions.append(Condition(attribute.name, operator, _parse_number(match)))
            else:
                unclear.append(match[0])
    return conditions, unclear


def _parse_number(match: re.Match[str]) -> float:
    scale = {"k": 1_000.0, "m": 1_000_000.0}.get(match["unit"] or "", 1.0)
    return float(re.sub(r"[ ,]", "", match["number"])) * scale


def _compared_attribute(
    text: str, match: re.Match[str], catalogue: SchemaCatalog
) -> Attribute | None:
    """Return the numeric attribute of a comparison.

    It is the one named just before the number, the one named after it, or the amount of money.
    """
    numeric = {name: a for name, a in catalogue.attributes.items() if a.type == "number"}
    before = fold(text[: match.start()]).split()[-4:]
    after = fold(text[match.end() :]).split()[:3]
    for word in [*reversed(before), *after]:
        for name, attribute in sorted(numeric.items()):
            if word not in STOPWORDS and word in name.split("_"):
                return attribute
    kinds = {catalogue.find_kind(word) for word in fold(text).split()}
    usable = [a for _, a in sorted(numeric.items()) if not kinds - {None} or a.kinds & kinds]
    money = [a for a in usable if any(word in a.name.split("_") for word in _MONEY_WORDS)]
    return money[0] if money else (usable[0] if len(usable) == 1 else None)


def _parse_known_values(folded: str, catalogue: SchemaCatalog) -> Iterator[Condition]:
    """Yield a condition for each stored value in the question: ``overdue``, ``Anna Kowalski``."""
    remaining = f" {folded} "
    for candidate in name_candidates(folded):
        names = catalogue.attributes_by_value.get(candidate)
        at = remaining.find(f" {candidate} ")
        if not names or at < 0 or catalogue.find_kind(candidate):
            continue
        operator: Operator = "!=" if _TRAILING_NEGATION.search(remaining[: at + 1]) else "="
        name = _preferred_attribute(names, folded, catalogue)
        yield Condition(name, operator, catalogue.stored_spellings[name, candidate])
        remaining = remaining.replace(f" {candidate} ", " | ", 1)


def _preferred_attribute(names: frozenset[str], folded: str, catalogue: SchemaCatalog) -> str:
    """Choose among attributes with this value, by the words and kinds in the question."""
    words = folded.split()
    kinds = {catalogue.find_kind(word) for word in words}

    def preference(name: str) -> tuple[bool, bool, str]:
        is_named = any(part in words for part in name.split("_"))
        return (not is_named, not (catalogue.attributes[name].kinds & kinds), name)

    return min(names, key=preference)


def _parse_order(
    question: str, kinds: frozenset[str], catalogue: SchemaCatalog
) -> tuple[str | None, bool]:
    descending = bool(_DESCENDING_ORDER.search(question))
    if not descending and not _ASCENDING_ORDER.search(question):
        return None, True
    numeric = [
        a
        for _, a in sorted(catalogue.attributes.items())
        if a.type == "number" and (not kinds or a.kinds & kinds)
    ]
    words = fold(question).split()
    named_columns = [a for a in numeric if any(part in words for part in a.name.split("_"))]
    money = [a for a in numeric if any(part in _MONEY_WORDS for part in a.name.split("_"))]
    best = next(iter(named_columns or money or numeric), None)
    return (best.name if best else None), descending
