"""Freeze windows: times at which exposure does not rise. Lowering is always allowed."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from sluice.rollout.analysis.gate import Model

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ONE_DAY = timedelta(days=1)
_ONE_SECOND = timedelta(seconds=1)
_ADJACENT_WINDOWS_MAX = 800
"""Windows that follow each other without a gap, followed this far: two years of single days."""


class DailyHours(Model):
    """From ``start`` to ``end`` of the local day; at or past midnight it ends on the next day."""

    start: time
    end: time


class DateRange(Model):
    """From ``first`` to ``last``, both included."""

    first: date
    last: date

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"{self.last} comes before {self.first}; write the earlier day first")
        return self


def _parse_days(value: object) -> object:
    """Read ``sat``, ``fri-mon`` or a list of these into weekdays in order of the week."""
    parts = value if isinstance(value, list | tuple) else [value]
    days: set[str] = set()
    for part in parts:
        first, dash, last = str(part).lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{part!r} is not a weekday; write for example sat, or fri-mon")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update(DAYS[(begin + n) % 7] for n in range((end - begin) % 7 + 1))
    return tuple(sorted(days, key=DAYS.index))


def _parse_hours(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)", value.replace(" ", ""))
    if match is None:
        raise ValueError(f"{value!r} are not hours; write for example 18:00-08:00")
    a, b, c, d = (int(part) for part in match.groups())
    if c == 24 and d == 0:  # noqa: PLR2004  24:00 is how people write the day's end
        c = 0
    try:
        return DailyHours(start=time(a, b), end=time(c, d))
    except ValueError:
        raise ValueError(f"{value!r} are not hours of a day; they go from 00:00 to 24:00") from None


def _parse_dates(value: object) -> object:
    """Read ``2026-12-24``, ``2026-12-23..2027-01-02`` or a list of these."""
    parts = value if isinstance(value, list | tuple) else [value]
    return tuple(
        _parse_date_range(part) if isinstance(part, str | date) else part for part in parts
    )


def _parse_date_range(value: str | date) -> DateRange:
    if isinstance(value, date):
        return DateRange(first=value, last=value)
    first, dots, last = (part.strip() for part in value.partition(".."))
    try:
        return DateRange(first=date.fromisoformat(first), last=date.fromisoformat(last or first))
    except ValueError as error:
        if dots and "comes before" in str(error):
            raise
        raise ValueError(
            f"{value!r} is not a date; write for example 2026-12-24 or 2026-12-23..2027-01-02"
        ) from None


def _format_hours(hours: DailyHours | None) -> str | None:
    return f"{hours.start:%H:%M}-{hours.end:%H:%M}" if hours else None


def _format_dates(dates: tuple[DateRange, ...]) -> list[str]:
    return [f"{date_range.first}..{date_range.last}" for date_range in dates]


class Freeze(Model):
    """A window in which nothing is raised: all of ``days``, ``hours`` and ``dates`` that are given.

    Times are local in ``time_zone`` (IANA). Hours past midnight belong to the day they start on:
    ``days: fri, hours: 18:00-08:00`` ends on Saturday morning. ``reason`` is shown while it holds.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    reason: str = ""
    time_zone: str = "UTC"
    days: Annotated[tuple[str, ...], BeforeValidator(_parse_days)] = ()
    hours: Annotated[
        DailyHours | None,
        BeforeValidator(_parse_hours),
        PlainSerializer(_format_hours, return_type=Any),
    ] = None
    dates: Annotated[
        tuple[DateRange, ...],
        BeforeValidator(_parse_dates),
        PlainSerializer(_format_dates, return_type=Any),
    ] = ()

    @field_validator("time_zone")
    @classmethod
    def _require_known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):  # not found, an absolute path, a folder
            raise ValueError(
                f"{value!r} is not an IANA time zone; write for example Europe/Berlin or UTC"
            ) from None
        return value

    @model_validator(mode="after")
    def _require_bounds(self) -> Self:
        if not (self.days or self.hours or self.dates):
            raise ValueError("a freeze needs days, hours or dates; this one would never end")
        return self


class ActiveFreeze(Model):
    """The freeze that holds now, and the time of its end (UTC)."""

    name: str
    reason: str
    until: datetime
    zone: str

    @property
    def text(self) -> str:
        local = self.until.astimezone(ZoneInfo(self.zone))
        reason_text = f" ({self.reason})" if self.reason else ""
        return f"freeze {self.name}{reason_text} until {local:%a %Y-%m-%d %H:%M} {self.zone}"


def active_freeze(freezes: Iterable[Freeze], now: datetime) -> ActiveFreeze | None:
    """Return the freeze that holds at ``now`` with its end, adjacent windows included."""
    freezes = tuple(freezes)
    until, first = now, None
    for _ in range(_ADJACENT_WINDOWS_MAX):
        ends = [(end, freeze) for freeze in freezes for end in _window_ends(freeze, until)]
        if not ends:
            break
        until, last = max(ends, key=lambda end: end[0])
        first = first or last
    if first is None:
        return None
    return ActiveFreeze(name=first.name, reason=first.reason, until=until, zone=first.time_zone)


def covers_whole_week(freezes: Iterable[Freeze]) -> bool:
    """Return True when the weekly freezes leave no moment of the week."""
    weekly = [freeze for freeze in freezes if not freeze.dates]
    start = datetime(
        2026, 1, 5, tzinfo=UTC
    )  # a Monday of today's time zones: Apia's changed its day
    active = active_freeze(weekly, start)
    return active is not None and active.until - start > timedelta(days=8)


def _window_ends(freeze: Freeze, at: datetime) -> Iterator[datetime]:
    """Yield the ends, in UTC, of the freeze's windows around ``at``."""
    zone = ZoneInfo(freeze.time_zone)
    today = at.astimezone(zone).date()
    for day in (today - _ONE_DAY, today):
        if _applies_on(freeze, day):
            start, end = _window(freeze, day, zone)
            if start <= at < end:
                yield end


def _applies_on(freeze: Freeze, day: date) -> bool:
    in_dates = not freeze.dates or any(
        date_range.first <= day <= date_range.last for date_range in freeze.dates
    )
    return in_dates and (not freeze.days or DAYS[day.weekday()] in freeze.days)


def _window(freeze: Freeze, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    hours = freeze.hours or DailyHours(start=time(0), end=time(0))
    last = day if hours.end > hours.start else day + _ONE_DAY
    start = _to_utc(datetime.combine(day, hours.start, zone))
    return start, _to_utc(datetime.combine(last, hours.end, zone), is_end=True)


def _to_utc(local: datetime, *, is_end: bool = False) -> datetime:
    """Return the moment at which the local clock shows ``local``, so that a freeze never shrinks.

    In the hour that autumn repeats, a start is the first such moment and an end the second. A time
    that spring skips is the moment of the change.
    """
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        return second if is_end else first
    before, after = second, first  # in a gap, fold 1 is read with the later, larger offset
    offset = before.astimezone(local.tzinfo).utcoffset()
    while after - before > _ONE_SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(local.tzinfo).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
