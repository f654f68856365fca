"""The command ``sluice backtest``: a plan's gates over your own recorded metrics."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.commands.lint import load_plan_or_exit
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import PlanArgument
from sluice.cli.output import JsonOption, print_result, without_password
from sluice.cli.views.backtest import backtest_document, print_backtest
from sluice.rehearsal.backtest.history import PrometheusHistory
from sluice.rehearsal.backtest.replay import run_backtest as replay
from sluice.rehearsal.backtest.source import connect_server, open_tsdb, require_data
from sluice.rehearsal.errors import NothingRecordedError, RehearsalError
from sluice.rehearsal.prometheus.range_query import PrometheusClient
from sluice.rehearsal.ticks import tick_seconds
from sluice.rollout.analysis.cohorts import COHORTS
from sluice.rollout.errors import QuantityError
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.units import parse_duration
from sluice.stack.errors import StackError

_TIME_FORMATS = "2026-01-05T08:00 (UTC unless it has an offset), 14d for 14 days ago, or now"


def backtest(  # noqa: PLR0913, PLR0917  each is an option of the command line
    plan: PlanArgument,
    begin: Annotated[str, typer.Option("--from", help=f"Begin: {_TIME_FORMATS}.")],
    end: Annotated[str, typer.Option("--to", help="End, written as --from.")] = "now",
    prometheus: Annotated[str, typer.Option(help="Its address; default: PROMETHEUS_URL.")] = "",
    tsdb: Annotated[
        Path | None, typer.Option(help="Read this data folder of a Prometheus; it isn't changed.")
    ] = None,
    treatment: Annotated[
        str, typer.Option(help="Cohort to read as the treatment: treatment, control or all.")
    ] = "treatment",
    every: Annotated[
        str, typer.Option(help="Interval of red flag checks; default: 1m or less.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Replay a plan's gates over recorded metrics: each verdict, alarms a week, gates without data.

    Over a time without faults, every alarm is a false one. Gates are checked at their step's
    interval. Before the first rollout only control is recorded: use --treatment control.
    """
    now = datetime.now(UTC)
    times = (_parse_time("--from", begin, now), _parse_time("--to", end, now))
    if times[1] <= times[0]:
        raise CliError("--to must be later than --from.", Exit.USAGE)
    if treatment not in COHORTS:
        cohorts = ", ".join(COHORTS)
        raise CliError(f"--treatment {treatment!r} is not one of {cohorts}.", Exit.USAGE)
    if tsdb is not None and not tsdb.is_dir():
        raise CliError(f"--tsdb {tsdb} is not a folder.", Exit.USAGE)
    checked = load_plan_or_exit(plan, json)
    interval = _parse_interval(every, checked)
    url = prometheus or Context.read().prometheus_url
    try:
        with _open_source(checked, url, tsdb) as ranges:
            recorded = PrometheusHistory(checked, ranges, *times, treatment)
            require_data(recorded, tsdb, now)
            result = replay(recorded, interval)
    except NothingRecordedError as error:
        raise CliError(str(error), Exit.NOT_FOUND) from error
    except (RehearsalError, StackError) as error:
        hint = "" if tsdb else "; is it the right one (--prometheus, or PROMETHEUS_URL)?"
        raise CliError(without_password(str(error)) + hint, Exit.UNREACHABLE) from error
    result = result.model_copy(update={"source": str(tsdb or without_password(url))})
    if json:
        print_result(True, backtest_document(result), "")
    else:
        print_backtest(result)


def _open_source(
    plan: RolloutPlan, url: str, tsdb: Path | None
) -> AbstractContextManager[PrometheusClient]:
    if tsdb is not None:
        return open_tsdb(tsdb, tick_seconds(plan))
    return connect_server(url, Context.read().prometheus_credentials())


def _parse_time(option: str, text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - parse_duration(text)
        except QuantityError:
            raise CliError(
                f"{option} {text!r}: write for example {_TIME_FORMATS}.", Exit.USAGE
            ) from None
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _parse_interval(text: str, plan: RolloutPlan) -> timedelta:
    if not text:
        return timedelta(seconds=tick_seconds(plan))
    try:
        every = parse_duration(text)
    except QuantityError as error:
        raise CliError(f"--every: {error}", Exit.USAGE) from error
    if every < timedelta(seconds=1):
        raise CliError("--every must be at least 1s.", Exit.USAGE)
    return every
