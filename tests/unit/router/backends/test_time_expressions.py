"""The period that a question mentions."""

from datetime import date

import pytest

from router.backends.time_expressions import TimeRange, parse_time_range

TODAY = date(2026, 11, 24)  # a Tuesday


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("What happened in March 2025?", date(2025, 3, 1), date(2025, 4, 1)),
        ("since 2024-11-01", date(2024, 11, 1), None),
        ("before 5 June 2025", None, date(2025, 6, 5)),
        ("after June 5, 2025", date(2025, 6, 6), None),
        ("between January 2025 and March 2025", date(2025, 1, 1), date(2025, 4, 1)),
        ("between March and May 2025", date(2025, 3, 1), date(2025, 6, 1)),
        ("from November to January 2026", date(2025, 11, 1), date(2026, 2, 1)),
        ("between 3 March and 5 March 2025", date(2025, 3, 3), date(2025, 3, 6)),
        ("parcels from Gdansk to Lodz in March 2025", date(2025, 3, 1), date(2025, 4, 1)),
        ("changes in Q2 2025", date(2025, 4, 1), date(2025, 7, 1)),
        ("incidents in 2024", date(2024, 1, 1), date(2025, 1, 1)),
        ("incidents in May", date(2026, 5, 1), date(2026, 6, 1)),
        ("incidents in December", date(2025, 12, 1), date(2026, 1, 1)),
        ("yesterday", date(2026, 11, 23), date(2026, 11, 24)),
        ("last week", date(2026, 11, 16), date(2026, 11, 23)),
        ("this month", date(2026, 11, 1), date(2026, 12, 1)),
        ("over the last 30 days", date(2026, 10, 25), date(2026, 11, 25)),
        ("in the week before 19 October 2026", date(2026, 10, 12), date(2026, 10, 19)),
        ("after 2019 and before June 2022", date(2020, 1, 1), date(2022, 6, 1)),
        ("2 days after 31 December 2025", date(2026, 1, 1), date(2026, 1, 3)),
    ],
)
def test_dates_are_half_open_windows(question: str, start: date | None, end: date | None) -> None:
    window = parse_time_range(question, TODAY)
    assert window is not None
    assert (window.start, window.end) == (start, end)


@pytest.mark.parametrize("question", ["who drives T-12", "from Kiel to Bremen", "may I see it"])
def test_a_question_without_a_time_has_no_range(question: str) -> None:
    assert parse_time_range(question, TODAY) is None


def test_latest_and_earliest_are_an_order() -> None:
    assert parse_time_range("the latest incident", TODAY) == TimeRange(order="latest")
    assert parse_time_range("the first incident", TODAY) == TimeRange(order="earliest")


def test_an_impossible_date_is_ignored() -> None:
    assert parse_time_range("on 31 June 2025", TODAY) is not None
