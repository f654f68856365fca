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


def print_backtest(result: BacktestResult) -> None:
    """Print the alarms, then each rule, the worst first."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{result.plan} over {result.source}: {_format_time(result.begin)} to {_format_time(result.end)} UTC"
    )
    if result.treatment != "treatment":
        console.print(f"the treatment's gates are judged on the series of {result.treatment}")
    for line in _coverage_lines(result):
        console.print(line)
    console.print(_table(result))
    for rule, alarm in result.alarms[:ALARMS_SHOWN]:
        console.print(f"\nwould have acted: {_rule_name(rule)} {_alarm_text(alarm)}")
    if len(result.alarms) > ALARMS_SHOWN:
        console.print(f"… and {len(result.alarms) - ALARMS_SHOWN} more; --json has them all")
    for rule in result.rules:
        if rule.alarms and not rule.can_reduce_traffic:
            console.print(f"\nfirst failure: {_rule_name(rule)} {_alarm_text(rule.alarms[0])}")
    for note, names in _unjudged_rules(result).items():
        console.print(f"\n{note}: {', '.join(names)}")
    console.print(
        f"\nred flags would have acted {len(result.alarms)} times in "
        f"{format_duration(result.end - result.begin)}: "
        f"{_format_rate(result.alarms_per_week)} a week; {len(result.rules_without_data)} of {len(result.rules)} rules "
        "never had data",
        style="bold",
    )


def _unjudged_rules(result: BacktestResult) -> dict[str, list[str]]:
    """Return the rules without a verdict, by the reason."""
    names_by_reason: dict[str, list[str]] = {}
    for rule in result.rules:
        if rule.note:
            reason = "never had data" if rule.has_no_data else "not replayed"
            names_by_reason.setdefault(f"{reason}: {rule.note}", []).append(_rule_name(rule))
    return names_by_reason


def _coverage_lines(result: BacktestResult) -> Sequence[str]:
    if result.data_span is None:
        return ("no series of the plan was recorded in this time",)
    begin, end = result.data_span
    if begin - result.begin > HOUR or result.end - end > HOUR:
        return (f"its series were recorded from {_format_time(begin)} to {_format_time(end)} only",)
    return ()


def _table(result: BacktestResult) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("rule", overflow="fold")
    for name in ("checks", "judged", "failed", "unsure", "no data", "alarms a week"):
        table.add_column(name, justify="right")
    for rule in sorted(result.rules, key=lambda replay: (-len(replay.alarms), -replay.no_data)):
        numbers = (rule.evaluations, rule.conclusive, rule.failed, rule.inconclusive, rule.no_data)
        alarms = _format_rate(rule.alarms_per_week(result.weeks)) if rule.evaluations else "–"
        table.add_row(_rule_name(rule), *map("{:,}".format, numbers), alarms)
    return table


def _rule_name(rule: RuleReplay) -> str:
    """Return the rule's name with its first step and its action."""
    kind = f"red flag {rule.severity}" if rule.kind == "red flag" else rule.kind
    more_steps = f" +{len(rule.steps) - 1}" if len(rule.steps) > 1 else ""
    return f"{rule.steps[0]}{more_steps}/{rule.gate} ({kind}{', dry run' if rule.dry_run else ''})"


def _alarm_text(alarm: Alarm) -> str:
    lasted = format_duration(alarm.end - alarm.begin)
    return f"at {_format_time(alarm.begin)} for {lasted}: {alarm.reason}"


def _format_rate(a_week: float) -> str:
    """Format alarms a week, without decimals for large rates."""
    return f"{a_week:,.0f}" if a_week >= DECIMALS_BELOW else f"{a_week:.2f}"


def _format_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def backtest_document(result: BacktestResult) -> dict[str, Any]:
    """Return the backtest as JSON values, each rule with its verdict intervals."""
    return {
        **result.model_dump(mode="json", exclude={"rules"}),
        "weeks": result.weeks,
        "alarms": len(result.alarms),
        "alarms_per_week": result.alarms_per_week,
        "rules_without_data": [f"{r.kind} {r.gate}" for r in result.rules_without_data],
        "rules": [_rule_document(rule, result.weeks) for rule in result.rules],
    }


def _rule_document(rule: RuleReplay, weeks: float) -> dict[str, Any]:
    derived_fields = {
        "conclusive": rule.conclusive,
        "can_reduce_traffic": rule.can_reduce_traffic,
        "alarms_per_week": rule.alarms_per_week(weeks),
        "first_failure": rule.alarms[0].model_dump(mode="json") if rule.alarms else None,
    }
    return {**rule.model_dump(mode="json"), **derived_fields}
