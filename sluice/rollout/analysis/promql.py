"""What a PromQL expression rests on: its selectors, and how old their newest sample is."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import promql_parser

from sluice.rollout.units import format_duration

EXPRESSION_CACHE_SIZE = 4096
"""A plan asks for the age of the same few series at every check of its four weeks."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric as an expression selects it. ``labels`` are those its matchers name.

    ``text`` is the selector itself, without range, offset or @.
    """

    metric: str
    labels: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class ParsedSelectors:
    """What an expression names. ``grouping`` are the labels of by, without, on and ignoring."""

    selectors: tuple[Selector, ...]
    grouping: frozenset[str]


@lru_cache(EXPRESSION_CACHE_SIZE)
def parse_selectors(promql: str) -> ParsedSelectors:
    """Every selector of an expression, in order, and the labels it groups by.

    Raises:
        ValueError: when it is no PromQL; the message says why.
    """
    found: list[Selector] = []
    grouping: set[str] = set()

    def visit(node: object) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(_selector(node))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouping.update(node.modifier.labels)
        elif isinstance(node, promql_parser.BinaryExpr):
            grouping.update(_matching_labels(node.modifier))
        return True

    promql_parser.walk(promql_parser.parse(promql), visit)
    return ParsedSelectors(tuple(found), frozenset(grouping))


def _matching_labels(modifier: promql_parser.BinModifier | None) -> list[str]:
    matching = modifier.matching if modifier is not None else None
    return list(matching.labels) if matching is not None else []


def _selector(node: promql_parser.VectorSelector) -> Selector:
    matchers = node.matchers.matchers
    metric = node.name or next((m.value for m in matchers if m.name == "__name__"), "")
    text = node.prettify().partition(" offset ")[0].partition(" @ ")[0]
    return Selector(metric, frozenset(m.name for m in matchers) - {"__name__"}, text)


@lru_cache(EXPRESSION_CACHE_SIZE)
def sample_age_query(promql: str) -> str | None:
    """PromQL for the age in seconds of the newest sample behind ``promql``.

    None when it rests on no series, or is no PromQL (then measuring it says so). All selectors are
    taken to be of one scrape: the first that has a sample tells. No sample, no value.
    """
    found = _selector_texts(promql)
    return (
        f"time() - ({' or '.join(f'max(timestamp({text}))' for text in found)})" if found else None
    )


def freshness_query(promql: str, within: timedelta) -> str | None:
    """PromQL that is 1 where ``age`` is at most ``within`` and 0 where it is more.

    For ranges: ``timestamp()`` looks each sample up at each step, which takes minutes over weeks.
    """
    window = format_duration(within)
    tells = (
        f"((max(present_over_time({text}[{window}])) or 0 * count({text})) and count({text}))"
        for text in _selector_texts(promql)
    )
    return " or ".join(tells) or None


def _selector_texts(promql: str) -> dict[str, None]:
    try:
        return dict.fromkeys(selector.text for selector in parse_selectors(promql).selectors)
    except ValueError:
        return {}
