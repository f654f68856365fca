"""Freezes: when nothing may be raised, in the team's own time zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice.rollout.plan.freeze_windows import DAYS, Freeze, active_freeze, covers_whole_week

BERLIN = ZoneInfo("Europe/Berlin")
WEEKEND = Freeze.model_validate(
    {"name": "weekend", "days": "sat-sun", "time_zone": "Europe/Berlin", "reason": "nobody is here"}
)


def local_time(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def test_a_weekend_lasts_until_monday_midnight_local_time() -> None:
    """Consecutive days are one wait, shown in the plan's own zone."""
    assert active_freeze((WEEKEND,), local_time("2026-11-27T23:59")) is None
    held = active_freeze((WEEKEND,), local_time("2026-11-28T00:00"))
    assert held is not None
    assert held.until == local_time("2026-11-30T00:00")
    assert held.text == "freeze weekend (nobody is here) until Mon 2026-11-30 00:00 Europe/Berlin"


def test_hours_past_midnight_belong_to_the_day_they_start_on() -> None:
    """Friday evening to Saturday morning is Friday's."""
    night = Freeze.model_validate(
        {"name": "n", "days": ["fri"], "hours": "18:00-08:00", "time_zone": "Europe/Berlin"}
    )
    for moment in ("2026-11-27T18:00", "2026-11-28T07:59"):
        held = active_freeze((night,), local_time(moment))
        assert held is not None
        assert held.until == local_time("2026-11-28T08:00")
    for moment in ("2026-11-27T17:59", "2026-11-28T08:00", "2026-11-28T18:00"):
        assert active_freeze((night,), local_time(moment)) is None


def test_freezes_that_meet_are_waited_for_together() -> None:
    """Friday night, the weekend and Monday's small hours: one wait until Monday at eight."""
    night = Freeze.model_validate(
        {"name": "nights", "hours": "18:00-08:00", "time_zone": "Europe/Berlin"}
    )
    held = active_freeze((night, WEEKEND), local_time("2026-11-27T19:00"))
    assert held is not None
    assert held.name == "nights"
    assert held.until == local_time("2026-11-30T08:00")


def test_dates_include_both_ends_and_single_days() -> None:
    """YAML gives a lone date as a date; a span is text."""
    freeze = Freeze.model_validate(
        {"name": "holidays", "dates": ["2026-12-24..2026-12-26", date(2027, 1, 1)]}
    )
    utc = ZoneInfo("UTC")
    held = active_freeze((freeze,), local_time("2026-12-26T23:00", utc))
    assert held is not None
    assert held.until == local_time("2026-12-27T00:00", utc)
    assert active_freeze((freeze,), local_time("2026-12-31T23:59", utc)) is None
    assert active_freeze((freeze,), local_time("2027-01-01T12:00", utc)) is not None


@pytest.mark.parametrize(
    ("zone", "hours", "first", "last"),
    [
        # Autumn repeats 02:00 to 03:00: the second 02:30 ends it, the first 02:15 begins it.
        ("Europe/Berlin", "01:00-02:30", "2026-10-24T23:00", "2026-10-25T01:30"),
        ("Europe/Berlin", "02:15-04:00", "2026-10-25T00:15", "2026-10-25T03:00"),
        ("America/New_York", "00:30-01:30", "2026-11-01T04:30", "2026-11-01T06:30"),
        # Spring skips 02:00 to 03:00: what begins or ends in it does so at the change.
        ("Europe/Berlin", "02:30-05:00", "2026-03-29T01:00", "2026-03-29T03:00"),
        ("Europe/Berlin", "00:30-02:30", "2026-03-28T23:30", "2026-03-29T01:00"),
    ],
)
def test_a_freeze_neither_starts_late_nor_ends_early_when_the_clock_is_changed(
    zone: str, hours: str, first: str, last: str
) -> None:
    """Both are in UTC, where no time is skipped or repeated."""
    start, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, last))
    day = start.astimezone(ZoneInfo(zone)).date()
    freeze = Freeze.model_validate({"name": "f", "hours": hours, "time_zone": zone, "dates": [day]})
    second = timedelta(seconds=1)
    assert active_freeze((freeze,), start - second) is None
    held = active_freeze((freeze,), start)
    assert held is not None
    assert held.until == end
    assert active_freeze((freeze,), end - second) is not None
    assert active_freeze((freeze,), end) is None


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_the_clock_is_changed_is_frozen_whole(day: str, hours: int) -> None:
    """Europe changes the clock on a Sunday: the freeze ends at local midnight all the same."""
    sunday = Freeze.model_validate({"name": "s", "days": "sun", "time_zone": "Europe/Berlin"})
    start = local_time(f"{day}T00:00")
    held = active_freeze((sunday,), start)
    assert held is not None
    assert held.until - start == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({}, "needs days, hours or dates"),
        ({"days": "saturday"}, "'saturday' is not a weekday"),
        ({"hours": "9-17"}, "are not hours"),
        ({"hours": "25:00-26:00"}, "from 00:00 to 24:00"),
        ({"dates": "2026-13-01"}, "is not a date"),
        ({"dates": "2026-12-24..2026-12-20"}, "comes before"),
        ({"days": "sun", "time_zone": "Berlin"}, "is not an IANA time zone"),
        ({"days": "sun", "time_zone": "/etc/passwd"}, "is not an IANA time zone"),
    ],
)
def test_an_invalid_freeze_shows_the_valid_form(fields: dict[str, str], what: str) -> None:
    """Each refusal shows the right form."""
    with pytest.raises(ValidationError, match=what):
        Freeze.model_validate({"name": "x", **fields})


def test_a_freeze_survives_the_data_converter() -> None:
    """A plan survives Temporal's payloads unchanged."""
    freeze = Freeze.model_validate(
        {"name": "x", "days": "fri-mon", "hours": "18:00-24:00", "dates": "2026-12-01..2026-12-31"}
    )
    assert freeze.days == ("mon", "fri", "sat", "sun")
    assert Freeze.model_validate_json(freeze.model_dump_json()) == freeze


def test_weeks_without_a_free_moment_are_found_out() -> None:
    """Without this, a rollout waits without end and sends a notice every day."""
    weekdays = Freeze.model_validate({"name": "week", "days": "mon-fri", "time_zone": "UTC"})
    weekend = WEEKEND.model_copy(update={"time_zone": "UTC"})
    assert not covers_whole_week((weekdays,))
    assert covers_whole_week((weekdays, weekend))
    assert covers_whole_week((Freeze.model_validate({"name": "x", "hours": "00:00-24:00"}),))


FREEZES = st.builds(
    lambda days, begin, end, zone: Freeze.model_validate(
        {
            "name": "f",
            "days": list(days),
            "hours": f"{begin:%H:%M}-{end:%H:%M}",
            "time_zone": zone,
        }
    ),
    st.sets(st.sampled_from(DAYS), max_size=6),
    st.times(),
    st.times(),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
)
MOMENTS = st.integers(0, 2 * 365 * 24 * 3600).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@settings(max_examples=100, deadline=None)
@given(st.lists(FREEZES, min_size=1, max_size=3), MOMENTS)
def test_a_freeze_ends_later_and_is_over_then(freezes: list[Freeze], now: datetime) -> None:
    """``until`` is in the future, not frozen itself, and everything before it is frozen."""
    held = active_freeze(freezes, now)
    if held is None or covers_whole_week(freezes):
        return
    assert held.until > now
    assert active_freeze(freezes, held.until) is None
    assert active_freeze(freezes, now + (held.until - now) / 2) is not None
    assert active_freeze(freezes, held.until - timedelta(seconds=1)) is not None


def test_a_whole_day_is_the_default() -> None:
    """Days without hours are frozen from midnight to midnight."""
    assert WEEKEND.hours is None
    assert active_freeze((WEEKEND,), local_time("2026-11-29T23:59")) is not None
