"""Questions become filters over what the data holds; values never become SQL."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.backends.catalogue import Catalogue, build
from router.backends.filters import Condition, Filter, parse
from router.backends.statements import select

TODAY = date(2026, 11, 24)
CATALOGUE: Catalogue = build(
    ["invoice", "driver", "truck"],
    [
        {"kind": "invoice", "key": "status", "type": "string", "dates": False},
        {"kind": "driver", "key": "status", "type": "string", "dates": False},
        {"kind": "invoice", "key": "amount_eur", "type": "number", "dates": None},
        {"kind": "invoice", "key": "due_on", "type": "string", "dates": True},
        {"kind": "truck", "key": "capacity_kg", "type": "number", "dates": None},
        {"kind": "truck", "key": "refrigerated", "type": "boolean", "dates": None},
        {"kind": "driver", "key": "depot", "type": "string", "dates": False},
    ],
    [
        {"key": "status", "value": "overdue"},
        {"key": "status", "value": "paid"},
        {"key": "status", "value": "active"},
        {"key": "depot", "value": "Gdansk"},
    ],
)


def parsed(question: str) -> Filter:
    return parse(question, CATALOGUE, TODAY)


@pytest.mark.parametrize(
    ("question", "kinds", "conditions"),
    [
        (
            "overdue invoices over 5,000 euro",
            {"invoice"},
            {Condition("status", "=", "overdue"), Condition("amount_eur", ">", 5000.0)},
        ),
        (
            "drivers with status = 'active' in Gdansk",
            {"driver"},
            {Condition("status", "=", "active"), Condition("depot", "=", "Gdansk")},
        ),
        (
            "trucks with capacity of at least 20k",
            {"truck"},
            {Condition("capacity_kg", ">=", 20000.0)},
        ),
        ("invoices not paid", {"invoice"}, {Condition("status", "!=", "paid")}),
        ("refrigerated = true", set(), {Condition("refrigerated", "=", True)}),
    ],
)
def test_kinds_values_and_comparisons_are_understood(
    question: str, kinds: set[str], conditions: set[Condition]
) -> None:
    found = parsed(question)
    assert found.kinds == kinds
    assert set(found.conditions) == conditions


def test_how_many_counts_and_largest_orders() -> None:
    assert parsed("how many invoices are overdue?").count
    assert parsed("the largest invoice").order_by == "amount_eur"


def test_two_values_for_one_attribute_contradict() -> None:
    assert parsed("invoices that are overdue and paid").contradictory


def test_relaxing_ends_with_nothing_left_to_relax() -> None:
    wanted = parsed("overdue invoices of Baltic Foods over 5000 in March 2025")
    for _ in range(6):
        wanted = wanted.relaxed()
    assert (wanted.names, wanted.conditions, wanted.window) == ((), (), None)


@given(st.text(max_size=80))
def test_any_text_parses_and_its_words_stay_parameters(text: str) -> None:
    marked = f"invoices status = '{text}' zzqx"
    statement, _ = select(parse(marked, CATALOGUE, TODAY), 5)
    assert "zzqx" not in statement
    assert statement == select(parse(marked, CATALOGUE, TODAY), 5)[0]


def test_an_injection_is_a_value() -> None:
    attack = "'; DROP TABLE records; --"
    statement, values = select(Filter(conditions=(Condition(attack, "=", attack),)), 5)
    assert "DROP" not in statement
    assert values.count(attack) == 2
