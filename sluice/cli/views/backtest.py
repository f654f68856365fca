"""Backtests as text and as JSON."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from sluice.rehearsal.backtest.result import Alarm, BacktestResult, RuleReplay
from sluice.rollout.units import format_duration

ALARMS_SHOWN = 20
DECIMALS_BELOW = 100
HOUR = timedelta(hours=1)


def print_backtest(done: BacktestResult) -> None:
    """Print the alarms, then each rule, the worst first."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{done.plan} over {done.source}: {_format_time(done.begin)} to {_format_time(done.end)} UTC"
    )
    if done.treatment != "treatment":
        console.print(f"the treatment's gates are judged on the series of {done.treatment}")
    for line in _coverage_lines(done):
        console.print(line)
    console.print(_table(done))
    for rule, alarm in done.alarms[:ALARMS_SHOWN]:
        console.print(f"\nwould have acted: {_rule_name(rule)} {_alarm_text(alarm)}")
    if len(done.alarms) > ALARMS_SHOWN:
        console.print(f"… and {len(done.alarms) - ALARMS_SHOWN} more; --json has them all")
    for rule in done.rules:
        if rule.alarms and not rule.can_reduce_traffic:
            console.print(f"\nfirst failure: {_rule_name(rule)} {_alarm_text(rule.alarms[0])}")
    for note, names in _unjudged_rules(done).items():
        console.print(f"\n{note}: {', '.join(names)}")
    console.print(
        f"\nred flags would have acted {len(done.alarms)} times in "
        f"{format_duration(done.end - done.begin)}: "
        f"{_format_rate(done.alarms_per_week)} a week; {len(done.rules_without_data)} of {len(done.rules)} rules "
        "never had data",
        style="bold",
    )


def _unjudged_rules(done: BacktestResult) -> dict[str, list[str]]:
    """Return the rules without a verdict, by the reason."""
    names_by_reason: dict[str, list[str]] = {}
    for rule in done.rules:
        if rule.note:
            why = "never had data" if rule.has_no_data else "not replayed"
            names_by_reason.setdefault(f"{why}: {rule.note}", []).append(_rule_name(rule))
    return names_by_reason


def _coverage_lines(done: BacktestResult) -> Sequence[str]:
    if done.data_span is None:
        return ("no series of the plan was recorded in this time",)
    begin, end = done.data_span
    if begin - done.begin > HOUR or done.end - end > HOUR:
        return (f"its series were recorded from {_format_time(begin)} to {_format_time(end)} only",)
    return ()


def _table(done: BacktestResult) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("rule", overflow="fold")
    for name in ("checks", "judged", "failed", "unsure", "no data", "alarms a week"):
        table.add_column(name, justify="right")
    for rule in sorted(done.rules, key=lambda one: (-len(one.alarms), -one.no_data)):
        numbers = (rule.evaluations, rule.conclusive, rule.failed, rule.inconclusive, rule.no_data)
        alarms = _format_rate(rule.alarms_per_week(done.weeks)) if rule.evaluations else "–"
        table.add_row(_rule_name(rule), *map("{:,}".format, numbers), alarms)
    return table


def _rule_name(rule: RuleReplay) -> str:
    """Return the rule's name with its first step and its action."""
    kind = f"red flag {rule.severity}" if rule.kind == "red flag" else rule.kind
    more = f" +{len(rule.steps) - 1}" if len(rule.steps) > 1 else ""
    return f"{rule.steps[0]}{more}/{rule.gate} ({kind}{', dry run' if rule.dry_run else ''})"


def _alarm_text(alarm: Alarm) -> str:
    lasted = format_duration(alarm.end - alarm.begin)
    return f"at {_format_time(alarm.begin)} for {lasted}: {alarm.reason}"


def _format_rate(a_week: float) -> str:
    """Format alarms a week, without decimals for large rates."""
    return f"{a_week:,.0f}" if a_week >= DECIMALS_BELOW else f"{a_week:.2f}"


def _format_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def backtest_document(done: BacktestResult) -> dict[str, Any]:
    """Return the backtest as JSON values, each rule with its verdict intervals."""
    return {
        **done.model_dump(mode="json", exclude={"rules"}),
        "weeks": done.weeks,
        "alarms": len(done.alarms),
        "alarms_per_week": done.alarms_per_week,
        "rules_without_data": [f"{r.kind} {r.gate}" for r in done.rules_without_data],
        "rules": [_rule_document(rule, done.weeks) for rule in done.rules],
    }


def _rule_document(rule: RuleReplay, weeks: float) -> dict[str, Any]:
    more = {
        "conclusive": rule.conclusive,
        "can_reduce_traffic": rule.can_reduce_traffic,
        "alarms_per_week": rule.alarms_per_week(weeks),
        "first_failure": rule.alarms[0].model_dump(mode="json") if rule.alarms else None,
    }
    return {**rule.model_dump(mode="json"), **more}
