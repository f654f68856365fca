"""Rows of tables and JSON lines: ids, names, numbers, dates, nested objects, long texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.knowledge.records import Link, Record
from router.knowledge.sources import (
    ParsedItem,
    ReadOptions,
    Source,
    SourceNote,
    SourceProblem,
    parse_source,
)
from router.knowledge.sources.naming import column_names, to_kind


def parse(suffix: str, text: str, **options: str) -> list[ParsedItem]:
    return list(parse_source(Source(f"data{suffix}", suffix, text), ReadOptions(**options)))


def records(items: list[ParsedItem]) -> list[Record]:
    return [item for item in items if isinstance(item, Record)]


def problems(items: list[ParsedItem]) -> list[SourceProblem]:
    return [item for item in items if isinstance(item, SourceProblem)]


def test_ids_are_qualified_by_their_file() -> None:
    one, two = records(parse(".csv", "id,name\n1,a\n2,b\n"))
    assert (one.id, one.local_id, two.id) == ("data.csv#1", "1", "data.csv#2")


def test_an_id_column_that_repeats_is_no_id_and_no_row_is_lost() -> None:
    items = parse(".csv", "ID,name\n1,a\n1,b\n1,b\n")
    found = records(items)
    assert len({record.id for record in found}) == 3
    assert [record.attributes["id_value"] for record in found] == [1, 1, 1]
    (note,) = [item for item in items if isinstance(item, SourceNote)]
    assert "'id' repeats in 2 of 3 rows" in note.text
    assert problems(items) == []


def test_a_collision_in_a_chosen_column_names_both_lines() -> None:
    items = parse(".csv", "code,name\nx,a\ny,b\nx,c\n", id_column="code")
    (problem,) = problems(items)
    assert (problem.location, "line 2" in problem.reason) == ("data.csv:4", True)
    assert [record.local_id for record in records(items)] == ["x", "y"]


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        (["Price", "Price (%)"], ["price", "price_percent"]),
        (["a", "", "A"], ["a", "column_2", "a_2"]),
        (["Größe", "价格"], ["größe", "价格"]),
        (["x", "x", "x_2"], ["x", "x_2", "x_2_2"]),
    ],
)
def test_headers_keep_their_letters_and_get_names_of_their_own(
    headers: list[str], names: list[str]
) -> None:
    assert column_names(headers) == names


@given(st.lists(st.text(max_size=6), max_size=8))
def test_column_names_are_never_empty_and_never_repeat(headers: list[str]) -> None:
    names = column_names(headers)
    assert len(set(names)) == len(headers)
    assert all(names)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("movies", "movie"), ("Open invoices", "open_invoice"), ("bus", "bus"), ("analyses", "analysis"),
     ("Größen", "grossen"), ("价格", "document"), ("names", "name_item"), ("2024 boxes", "k_2024_box")],
)  # fmt: skip
def test_a_kind_is_the_singular_of_the_files_name(name: str, kind: str) -> None:
    assert to_kind(name) == kind


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (("2014-7-1", "2014-12-31"), "2014-07-01"),
        (("01/07/2014", "31/12/2014"), "2014-07-01"),
        (("01/07/2014", "12/31/2014"), "2014-01-07"),
        (("Jul 1, 2014", "Aug 12, 2014"), "2014-07-01"),
        (("1 July 2014", "12 Aug 2014"), "2014-07-01"),
        (("1.7.2014", "31.7.2014"), "2014-07-01"),
        (("2014-07-01T10:00:00Z", "2014-07-02 11:00"), "2014-07-01"),
    ],
)
def test_a_column_of_dates_is_read_by_one_order(dates: tuple[str, ...], first: str) -> None:
    text = "id,date,due\n" + "".join(f'{n},"{day}","{day}"\n' for n, day in enumerate(dates))
    record = records(parse(".csv", text))[0]
    assert record.attributes["occurred_on"] == first
    assert str(record.attributes["due"]).startswith(first)


def test_ambiguous_dates_stay_text_and_ask_for_the_order() -> None:
    text = "id,date\n1,01/02/2014\n2,03/04/2014\n"
    items = parse(".csv", text)
    assert ["--date-format" in problem.reason for problem in problems(items)] == [True]
    assert records(items)[0].attributes == {"date_text": "01/02/2014"}
    chosen = records(parse(".csv", text, date_format="dmy"))
    assert chosen[0].attributes == {"occurred_on": "2014-02-01"}


def test_a_bad_date_loses_the_date_and_not_the_row() -> None:
    items = parse(".csv", "id,date\n1,2014-07-01\n2,2014-13-45\n3,2014-07-03\n")
    assert len(records(items)) == 3
    assert "line 3, '2014-13-45'" in problems(items)[0].reason


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (("1.234,56", "12,5", "1.000"), [1234.56, 12.5, 1000]),
        (("1,234.56", "12.5", "1,000"), [1234.56, 12.5, 1000]),
        (("1.234.567", "-0,75", "12"), [1234567, -0.75, 12]),
        (("1 234,5", "1\u00a0234", "7"), [1234.5, 1234, 7]),
        (("1'234.50", "12'000", "+3"), [1234.5, 12000, 3]),
        (("1.234", "2.5", "3"), [1.234, 2.5, 3]),
        (("1.234", "5.678", "9.012"), [1.234, 5.678, 9.012]),
        (("1.234,5", "N/A", "2"), [1234.5, None, 2]),
        (("10.0.0.1", "192.168.100.200", "10.1.1.1"), ["10.0.0.1", "192.168.100.200", "10.1.1.1"]),
        (("01.234", "00123", "1.234,5"), ["01.234", "00123", "1.234,5"]),
    ],
)
def test_a_column_of_numbers_is_read_by_one_decimal_sign(
    cells: tuple[str, ...], numbers: list[object]
) -> None:
    """The same ``1.000`` is a thousand beside ``12,5``, and one beside ``12.5``."""
    text = "id;price\n" + "".join(f'{n};"{cell}"\n' for n, cell in enumerate(cells))
    assert [r.attributes.get("price") for r in records(parse(".csv", text))] == numbers


@pytest.mark.parametrize("cells", [("1,234", "5,678"), ("1.234,5", "1,234.5")])
def test_ambiguous_numbers_stay_text_and_ask_for_the_decimal_sign(cells: tuple[str, ...]) -> None:
    text = "id;price\n" + "".join(f"{n};{cell}\n" for n, cell in enumerate(cells))
    items = parse(".csv", text)
    assert ["--decimal" in problem.reason for problem in problems(items)] == [True]
    assert [record.attributes["price"] for record in records(items)] == list(cells)
    chosen = records(parse(".csv", text, decimal="comma"))
    assert chosen[0].attributes["price"] in (1.234, 1234.5)


def test_a_null_marker_among_numbers_is_no_value() -> None:
    found = records(parse(".csv", "id,price,town\n1,5,NA\n2,N/A,Kiel\n3,-,Ulm\n"))
    assert [record.attributes.get("price") for record in found] == [5, None, None]
    assert found[0].attributes["town"] == "NA"


def test_a_long_integer_is_text_and_a_line_separator_ends_no_line() -> None:
    text = '{"id": "a", "n": 123456789012345678901, "t": "x\u2028y"}\n{"id": "b"}'
    one, two = records(parse(".jsonl", text))
    assert one.attributes == {"n": "123456789012345678901", "t": "x\u2028y"}
    assert two.local_id == "b"


def test_nested_objects_are_dotted_and_lists_of_them_records_of_their_own() -> None:
    text = '{"id": "o1", "buyer": {"town": "Kiel"}, "items": [{"sku": "x"}, {"sku": "y"}]}'
    order, first, second = records(parse(".jsonl", text))
    assert order.attributes == {"buyer.town": "Kiel"}
    assert (first.kind, first.attributes) == ("item", {"sku": "x"})
    assert first.links == (Link("PART_OF", order.id),)
    assert first.id != second.id


def test_a_long_text_is_cut_into_pieces_that_lead_to_their_record() -> None:
    text = " ".join(f"Sentence number {n} of the text." for n in range(200))
    whole, *parts = records(parse(".csv", f'id,text\n1,"{text}"\n'))
    assert len(parts) >= 4
    assert all(part.links == (Link("PART_OF", whole.id),) for part in parts)
    assert " ".join([whole.text, *(part.text for part in parts)]) == text


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), max_size=4))
def test_no_row_of_any_text_ends_the_parse(cells: list[str]) -> None:
    items = parse(".csv", "a,b\n" + ",".join(cells) + "\n1,2\n")
    assert records(items) or problems(items)


@pytest.mark.parametrize(
    ("above", "note"),
    [
        ("Sales 2024\n", "line 1"),
        ("Sales 2024,,\n\n", "line 1"),
        ("# exported, today\n", ""),
        ("sep=,\n", ""),
    ],
)
def test_lines_above_the_header_are_no_columns(above: str, note: str) -> None:
    """A title has one cell. What could be a header as well stays one, and its rows are named."""
    items = parse(".csv", f"{above}id,part,amount\n1,Axle,5\n2,Pad,7\n")
    if "exported" in above:
        assert [problem.location for problem in problems(items)] == [
            "data.csv:2",
            "data.csv:3",
            "data.csv:4",
        ]
        return
    assert [record.attributes for record in records(items)] == [
        {"part": "Axle", "amount": 5},
        {"part": "Pad", "amount": 7},
    ]
    assert [item.text[:6] for item in items if isinstance(item, SourceNote)] == (
        [note] if note else []
    )


def test_a_header_of_one_name_is_no_title() -> None:
    assert [r.attributes for r in records(parse(".csv", ",value\n0,5\n"))] == [
        {"column_1": 0, "value": 5}
    ]
    assert len(problems(parse(".csv", "name\nSmith, John\nDoe, Jane\n"))) == 2


def test_a_table_without_rows_is_reported_so_that_nothing_is_removed() -> None:
    (problem,) = problems(parse(".csv", "id,name\n"))
    assert "no rows" in problem.reason


def test_blanks_behind_the_delimiter_are_no_part_of_a_cell() -> None:
    (record,) = records(parse(".csv", 'id, name, note\n1, "Ann, B", x\n'))
    assert (record.title, record.attributes) == ("Ann, B", {"note": "x"})


@pytest.mark.parametrize(
    ("name", "cells", "attributes"),
    [
        ("share", ["45%", "7.5 %"], [{"share_percent": 45}, {"share_percent": 7.5}]),
        ("price", ["12,50 €", "1.200,00 €"], [{"price_euro": 12.5}, {"price_euro": 1200.0}]),
        ("price", ["-$1.50", "$3"], [{"price_dollar": -1.5}, {"price_dollar": 3}]),
        ("price_eur", ["5 EUR", "N/A"], [{"price_eur": 5}, {}]),
        ("price", ["5 EUR", "5 USD"], [{"price": "5 EUR"}, {"price": "5 USD"}]),
        ("title", ["45%", "46%"], [{}, {}]),
    ],
)
def test_a_column_with_one_unit_is_one_of_numbers_and_its_name_has_the_unit(
    name: str, cells: list[str], attributes: list[dict[str, object]]
) -> None:
    table = "".join(f"{cell}\t{number}\n" for number, cell in enumerate(cells))
    found = records(parse(".tsv", f"{name}\tid\n{table}"))
    assert [record.attributes for record in found] == attributes


def test_grouped_or_decimal_money_is_asked_for() -> None:
    assert "--decimal" in problems(parse(".tsv", "id\tprice\n1\t3.000 €\n"))[0].reason
    (record,) = records(parse(".tsv", "id\tprice\n1\t3.000 €\n", decimal="comma"))
    assert record.attributes == {"price_euro": 3000}


def test_a_drawn_line_and_null_markers_are_no_values() -> None:
    first, second = records(parse(".csv", "id,n\n---,---\n1,\\N\n2,5\n"))
    assert (first.attributes, second.attributes) == ({}, {"n": 5})
