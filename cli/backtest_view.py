"""Backtests as text and as JSON."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from rehearsal.replayed import Alarm, Backtest, Replayed
from rollout.quantity import format_duration

ALARMS_SHOWN = 20
DECIMALS_BELOW = 100
HOUR = timedelta(hours=1)


def show(done: Backtest) -> None:
    """What would have happened, then each rule, the worst first."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{done.plan} over {done.source}: {_minute(done.begin)} to {_minute(done.end)} UTC"
    )
    if done.treatment != "treatment":
        console.print(f"the treatment's gates are judged on the series of {done.treatment}")
    for line in _data(done):
        console.print(line)
    console.print(_table(done))
    for rule, alarm in done.alarms[:ALARMS_SHOWN]:
        console.print(f"\nwould have acted: {_name(rule)} {_told(alarm)}")
    if len(done.alarms) > ALARMS_SHOWN:
        console.print(f"… and {len(done.alarms) - ALARMS_SHOWN} more; --json has them all")
    for rule in done.rules:
        if rule.alarms and not rule.acts:
            console.print(f"\nfirst failure: {_name(rule)} {_told(rule.alarms[0])}")
    for note, names in _notes(done).items():
        console.print(f"\n{note}: {', '.join(names)}")
    console.print(
        f"\nred flags would have acted {len(done.alarms)} times in "
        f"{format_duration(done.end - done.begin)}: "
        f"{_rate(done.alarms_a_week)} a week; {len(done.never_had_data)} of {len(done.rules)} rules "
        "never had data",
        style="bold",
    )


def _notes(done: Backtest) -> dict[str, list[str]]:
    """Why rules could not be judged at all, and which."""
    told: dict[str, list[str]] = {}
    for rule in done.rules:
        if rule.note:
            why = "never had data" if rule.never_had_data else "not replayed"
            told.setdefault(f"{why}: {rule.note}", []).append(_name(rule))
    return told


def _data(done: Backtest) -> Sequence[str]:
    if done.data is None:
        return ("nothing that the plan asks for was recorded in this time",)
    begin, end = done.data
    if begin - done.begin > HOUR or done.end - end > HOUR:
        return (f"its series were recorded from {_minute(begin)} to {_minute(end)} only",)
    return ()


def _table(done: Backtest) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("rule", overflow="fold")
    for name in ("looks", "judged", "failed", "unsure", "no data", "alarms a week"):
        table.add_column(name, justify="right")
    for rule in sorted(done.rules, key=lambda one: (-len(one.alarms), -one.no_data)):
        numbers = (rule.looks, rule.judged, rule.failed, rule.unsure, rule.no_data)
        alarms = _rate(rule.alarms_a_week(done.weeks)) if rule.looks else "–"
        table.add_row(_name(rule), *map("{:,}".format, numbers), alarms)
    return table


def _name(rule: Replayed) -> str:
    """The rule with the first step that has it, and how it would act."""
    kind = f"red flag {rule.severity}" if rule.kind == "red flag" else rule.kind
    more = f" +{len(rule.steps) - 1}" if len(rule.steps) > 1 else ""
    return f"{rule.steps[0]}{more}/{rule.gate} ({kind}{', dry run' if rule.dry_run else ''})"


def _told(alarm: Alarm) -> str:
    lasted = format_duration(alarm.ends - alarm.begins)
    return f"at {_minute(alarm.begins)} for {lasted}: {alarm.because}"


def _rate(a_week: float) -> str:
    """A few minutes' alarms make thousands a week: then decimals say nothing."""
    return f"{a_week:,.0f}" if a_week >= DECIMALS_BELOW else f"{a_week:.2f}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def document(done: Backtest) -> dict[str, Any]:
    """All of it for scripts: each rule with its verdicts, as long as each lasted."""
    return {
        **done.model_dump(mode="json", exclude={"rules"}),
        "weeks": done.weeks,
        "alarms": len(done.alarms),
        "alarms_a_week": done.alarms_a_week,
        "never_had_data": [f"{r.kind} {r.gate}" for r in done.never_had_data],
        "rules": [_rule(rule, done.weeks) for rule in done.rules],
    }


def _rule(rule: Replayed, weeks: float) -> dict[str, Any]:
    more = {
        "judged": rule.judged,
        "acts": rule.acts,
        "alarms_a_week": rule.alarms_a_week(weeks),
        "first_failure": rule.alarms[0].model_dump(mode="json") if rule.alarms else None,
    }
    return {**rule.model_dump(mode="json"), **more}
