"""Expressions are read by the parser that Prometheus' own grammar gives, never by text patterns."""

from datetime import timedelta

import promql_parser
import pytest

from sluice.rollout.analysis.promql import (
    complete_absence,
    expression_problem,
    freshness_query,
    gives_vector,
    sample_age_query,
)

FIVE_MINUTES = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("promql", "words"),
    [
        ("sum(rate(e[5m]))", ""),
        ("sum(rate(e[5m])", "is not PromQL"),
        ("e[5m]", "gives a range"),
        ("'text'", "gives text, not a number"),
        ("1 + 1", "selects no series"),
    ],
)
def test_an_expression_must_give_one_value(promql: str, words: str) -> None:
    assert expression_problem(promql).startswith(words)
    assert bool(expression_problem(promql)) == bool(words)


@pytest.mark.parametrize(
    ("promql", "is_vector"),
    [
        ("e", True),
        ("sum(e)", True),
        ("-(e)", True),
        ("1 + e", True),
        ("1 + 1", False),
        ("rate(e[5m])", True),
        ("time()", False),
        ("scalar(e)", False),
        ("e[5m]", False),
        ("sum(", False),
    ],
)
def test_only_vectors_are_joined_into_one_query(promql: str, is_vector: bool) -> None:
    """A scalar has no labels, so it could not be separated from the other answers again."""
    assert gives_vector(promql) is is_vector


def test_a_bare_absence_has_the_value_zero_while_the_series_exists() -> None:
    assert complete_absence("absent(e)") == "sum(absent(e)) or vector(0)"
    assert complete_absence("e or absent(e)") == "e or absent(e)"
    assert complete_absence("absent(") == "absent("


@pytest.mark.parametrize(
    "promql",
    ["sum(e) / sum(n)", 'absent(up{job="gone"})', "e{a=' offset 5m'}", 'sum(e{b=" @ "})', "1"],
)
def test_age_and_freshness_are_expressions_of_the_same_series(promql: str) -> None:
    """Label values with the words of modifiers change nothing; a constant has neither."""
    queries = sample_age_query(promql), freshness_query(promql, FIVE_MINUTES)
    if promql == "1":
        assert queries == (None, None)
        return
    for query in queries:
        assert query is not None
        promql_parser.parse(query)


def test_freshness_counts_an_absent_series_as_fresh() -> None:
    assert freshness_query("absent(e)", FIVE_MINUTES) == "sum(absent(e)) or " + _fresh("e")
    assert freshness_query("e", FIVE_MINUTES) == _fresh("e")


def _fresh(name: str) -> str:
    return f"((max(present_over_time({name}[5m])) or 0 * count({name})) and count({name}))"
