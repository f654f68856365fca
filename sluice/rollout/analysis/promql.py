"""The selectors behind a PromQL expression, and the age of their newest sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import promql_parser

from sluice.rollout.units import format_duration

EXPRESSION_CACHE_SIZE = 4096
"""A plan asks for the age of the same few series at every check of its four weeks."""
SCALAR_FUNCTIONS = ("scalar", "time", "pi")
ABSENCE_FUNCTIONS = ("absent", "absent_over_time")
_OPERATORS = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher, for example ``cohort=~"treatment"``."""

    label: str
    operator: str
    value: str

    @property
    def text(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{escaped}"'


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric as an expression selects it. ``text`` has neither range, offset nor @.

    ``is_absence``: the expression asks whether the series is absent.
    """

    metric: str
    matchers: tuple[Matcher, ...]
    text: str
    is_absence: bool = False

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(matcher.label for matcher in self.matchers) - {"__name__"}


@dataclass(frozen=True, slots=True)
class ParsedSelectors:
    """The selectors of an expression. ``grouping``: the labels of by, without, on and ignoring."""

    selectors: tuple[Selector, ...]
    grouping: frozenset[str]


@lru_cache(EXPRESSION_CACHE_SIZE)
def parse_selectors(promql: str) -> ParsedSelectors:
    """Return every selector of an expression, in order, and the labels it groups by.

    Raises:
        ValueError: the expression is not PromQL; the message says why.
    """
    root = promql_parser.parse(promql)
    absent: set[str] = set()
    selectors: list[Selector] = []
    grouping: set[str] = set()

    def visit(node: object) -> bool:
        if isinstance(node, promql_parser.Call) and node.func.name in ABSENCE_FUNCTIONS:
            absent.update(_selector(inner).text for inner in _vector_selectors(node))
        elif isinstance(node, promql_parser.VectorSelector):
            selectors.append(_selector(node, absent))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouping.update(node.modifier.labels)
        elif isinstance(node, promql_parser.BinaryExpr):
            grouping.update(_matching_labels(node.modifier))
        return True

    promql_parser.walk(root, visit)
    return ParsedSelectors(tuple(selectors), frozenset(grouping))


def expression_problem(promql: str) -> str:
    """Return the reason why ``promql`` can't be evaluated to one value, or an empty text."""
    try:
        root = promql_parser.parse(promql)
    except ValueError as error:
        return f"is not PromQL: {error}"
    if isinstance(root, promql_parser.MatrixSelector):
        return "gives a range; apply a function, for example sum(increase(…[$window]))"
    if isinstance(root, promql_parser.StringLiteral):
        return "gives text, not a number"
    if not parse_selectors(promql).selectors:
        return "selects no series, so its value never changes; name a metric"
    return ""


@lru_cache(EXPRESSION_CACHE_SIZE)
def complete_absence(promql: str) -> str:
    """Return ``promql`` with the value 0 where ``absent()`` finds the series present.

    A bare ``absent(x)`` has no value while x exists, which would read as no data.
    """
    try:
        root = promql_parser.parse(promql)
    except ValueError:
        return promql
    is_bare = isinstance(root, promql_parser.Call) and root.func.name in ABSENCE_FUNCTIONS
    return f"sum({promql}) or vector(0)" if is_bare else promql


def _vector_selectors(root: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    nodes: list[promql_parser.VectorSelector] = []

    def visit(node: object) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            nodes.append(node)
        return True

    promql_parser.walk(root, visit)
    yield from nodes


def _matching_labels(modifier: promql_parser.BinModifier | None) -> list[str]:
    matching = modifier.matching if modifier is not None else None
    return list(matching.labels) if matching is not None else []


def _selector(node: promql_parser.VectorSelector, absent: set[str] | None = None) -> Selector:
    matchers = tuple(
        Matcher(matcher.name, _OPERATORS[str(matcher.op)], matcher.value)
        for matcher in node.matchers.matchers
    )
    name = node.name or next((m.value for m in matchers if m.label == "__name__"), "")
    matcher_text = ",".join(matcher.text for matcher in matchers)
    text = f"{node.name or ''}{{{matcher_text}}}" if matcher_text else name
    return Selector(name, matchers, text, text in (absent or ()))


@lru_cache(EXPRESSION_CACHE_SIZE)
@lru_cache(EXPRESSION_CACHE_SIZE)
def gives_vector(promql: str) -> bool:
    """Return True for an expression that gives an instant vector: series, each with one value."""
    try:
        return _is_vector(promql_parser.parse(promql))
    except ValueError:
        return False


def _is_vector(node: object) -> bool:
    if isinstance(node, promql_parser.ParenExpr | promql_parser.UnaryExpr):
        return _is_vector(node.expr)
    if isinstance(node, promql_parser.BinaryExpr):
        return _is_vector(node.lhs) or _is_vector(node.rhs)
    if isinstance(node, promql_parser.Call):
        return node.func.name not in SCALAR_FUNCTIONS
    return isinstance(node, promql_parser.VectorSelector | promql_parser.AggregateExpr)


def sample_age_query(promql: str) -> str | None:
    """Return PromQL for the age in seconds of the newest sample behind ``promql``.

    None when it rests on no series, or is not PromQL (measuring reports that). The first selector
    with a sample decides: all of them are taken to come from one scrape. A series that ``absent()``
    finds absent is known now, at age 0. Without any sample the result has no value.
    """
    selectors = _distinct_selectors(promql)
    terms = [
        f"max(timestamp(absent({selector.text})))" for selector in selectors if selector.is_absence
    ]
    terms += [f"max(timestamp({selector.text}))" for selector in selectors]
    return f"time() - ({' or '.join(terms)})" if terms else None


def freshness_query(promql: str, within: timedelta) -> str | None:
    """Return PromQL that is 1 where ``sample_age_query`` is at most ``within``, and 0 above.

    For ranges: ``timestamp()`` looks each sample up at each step, which takes minutes over weeks.
    """
    window = format_duration(within)
    selectors = _distinct_selectors(promql)
    terms = [f"absent({selector.text})" for selector in selectors if selector.is_absence]
    terms += [
        f"((max(present_over_time({selector.text}[{window}])) or 0 * count({selector.text}))"
        f" and count({selector.text}))"
        for selector in selectors
    ]
    return (
        " or ".join(f"sum({term})" if term.startswith("absent") else term for term in terms) or None
    )


def _distinct_selectors(promql: str) -> list[Selector]:
    try:
        parsed = parse_selectors(promql).selectors
    except ValueError:
        return []
    return list({selector.text: selector for selector in parsed}.values())
