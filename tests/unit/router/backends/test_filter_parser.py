"""Questions become filters over what the data holds; values never become SQL."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.backends.conditions import Condition, Filter
from router.backends.filter_parser import parse_filter
from router.backends.schema_catalog import ENUM_VALUES_MAX, SchemaCatalog, build_catalog
from router.backends.sql_builder import build_select
from router.backends.time_expressions import parse_time_range
from router.rewrite import correct_spelling

LEXICON_ROWS = [
    {"key": "status", "value": "overdue"},
    {"key": "depot", "value": "Gdansk"},
    {"key": "nickname", "value": "gdanska"},
    *({"key": "nickname", "value": f"value {number}"} for number in range(ENUM_VALUES_MAX)),
]
TODAY = date(2026, 11, 24)
CATALOGUE: SchemaCatalog = build_catalog(
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


def parse_question(question: str) -> Filter:
    return parse_filter(question, CATALOGUE, TODAY)


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
    found = parse_question(question)
    assert found.kinds == kinds
    assert set(found.conditions) == conditions


def test_spelling_is_repaired_towards_words_of_the_schema_and_never_towards_names() -> None:
    attributes = [{"kind": "invoice", "key": "due_on", "type": "string", "dates": True}]
    lexicon = build_catalog(["invoice"], attributes, LEXICON_ROWS, ["nordwind"]).lexicon
    assert lexicon.words == {"invoice", "due", "overdue"}
    assert {"gdansk", "gdanska", "nordwind"} <= lexicon.names
    assert correct_spelling("overdeu invoces of nordwint in gdanks", lexicon) == (
        "overdue invoices of nordwint in gdanks"
    )


def test_how_many_counts_and_largest_orders() -> None:
    assert parse_question("how many invoices are overdue?").count
    assert parse_question("the largest invoice").order_by == "amount_eur"


@pytest.mark.parametrize(
    ("question", "contradiction"),
    [
        ("invoices that are overdue and paid", "status = overdue and status = paid"),
        ("status = 'active' and status = 'closed'", "status = active and status = closed"),
        ("status = 'active' and status != 'active'", "status = active and status != active"),
        (
            "invoices with amount > 500 and amount < 100",
            "amount_eur > 500 and amount_eur < 100",
        ),
        ("amount > 500 and amount <= 500", "amount_eur > 500 and amount_eur <= 500"),
        ("amount = 50 and amount > 500", "amount_eur = 50 and amount_eur > 500"),
        ("due_on > 2025-02-01 and due_on < 2025-01-01", "due_on > 2025-02-01 and due_on < 2025-01-01"),
        ("invoices after 2024 and before 2020", "from 2025-01-01 and before 2020-01-01"),
        ("amount >= 500 and amount <= 500", ""),
        ("invoices over 100 and below 500 euro", ""),
        ("invoices after 2020 and before 2024", ""),
        ("overdue or paid invoices", ""),
        ("status = 'active' or status = 'paid'", ""),
        ("invoices not paid and not overdue", ""),
    ],
)  # fmt: skip
def test_contradictory_conditions_are_detected(question: str, contradiction: str) -> None:
    assert parse_question(question).contradiction == contradiction


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("status = 'active' and status = 'paid'", {Condition("status", "=", "active"), Condition("status", "=", "paid")}),
        ("paid invoices with amount > 500 and amount < 100", {Condition("status", "=", "paid")}),
    ],
)  # fmt: skip
def test_a_contradiction_is_relaxed_and_dropped_conditions_are_reported(
    question: str, left: set[Condition]
) -> None:
    wanted = parse_question(question)
    wider = wanted.relax()
    assert set(wider.conditions) == left
    assert (wider.contradiction, len(wider.left_out)) == ("", 1)
    assert wanted.contradiction in wider.left_out[0]


def test_either_of_two_values_is_one_alternative_in_sql() -> None:
    statement, _ = build_select(parse_question("overdue or paid invoices"), 5)
    assert "(attributes ->> $3::text = $4::text OR attributes ->> $5::text = $6::text)" in statement


@pytest.mark.parametrize(
    ("question", "left_out"),
    [
        ("invoices with colour = 'red'", ("colour = 'red'",)),
        ("amount > lots", ("amount > lots",)),
        ("drivers with amount > 5", ("amount_eur > 5",)),
        ("drivers with more than 40 goals", ("more than 40",)),
        ("overdue invoices over 5,000 euro", ()),
        ("id = 'INV-7' and kind = 'invoice' and name = 'Nordwind'", ()),
        ("kind = 'parrot'", ("kind = 'parrot'",)),
    ],
)
def test_a_condition_without_a_matching_attribute_is_dropped_and_reported(
    question: str, left_out: tuple[str, ...]
) -> None:
    assert parse_question(question).left_out == left_out


@pytest.mark.parametrize("written", ["5,000", "5k", "5000"])
def test_numbers_are_read_as_they_are_written(written: str) -> None:
    assert parse_question(f"amount > {written}").conditions == (
        Condition("amount_eur", ">", 5000.0),
    )


def test_relaxing_ends_with_nothing_left_to_relax() -> None:
    wanted = parse_question("overdue invoices of Baltic Foods over 5000 in March 2025")
    demands = wanted.requirements
    wanted = wanted.relax(6)
    assert (wanted.names, wanted.conditions, wanted.time_range) == ((), (), None)
    assert set(wanted.left_out) == set(demands), "each is said, once"


@given(st.text(max_size=80))
def test_any_text_parses_and_its_words_stay_parameters(text: str) -> None:
    marked = f"invoices status = '{text}' zzqx"
    statement, _ = build_select(parse_filter(marked, CATALOGUE, TODAY), 5)
    assert "zzqx" not in statement
    assert statement == build_select(parse_filter(marked, CATALOGUE, TODAY), 5)[0]


def test_an_injection_is_a_value() -> None:
    attack = "'; DROP TABLE records; --"
    statement, values = build_select(Filter(conditions=(Condition(attack, "=", attack),)), 5)
    assert "DROP" not in statement
    assert values.count(attack) == 2


@pytest.mark.parametrize(
    ("question", "by_words"),
    [
        ("What happened in May 2025?", False),
        ("any news since 3 February 2025", False),
        ("which changes took place last week", False),
        ("storms in May 2025", True),
        ("what happened to the roof in May 2025", True),
        ("what happened", True),
    ],
)
def test_a_question_about_a_time_alone_finds_records_that_lack_its_words(
    question: str, by_words: bool
) -> None:
    wanted = replace(
        parse_filter(question, SchemaCatalog(), TODAY), time_range=parse_time_range(question, TODAY)
    )
    statement, _ = build_select(wanted, 5)
    assert ("WHERE search @@" in statement or "AND search @@" in statement) == by_words
