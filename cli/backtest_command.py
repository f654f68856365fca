"""``sluice backtest``: a plan's gates over your own recorded metrics."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from cli.backtest_view import document, show
from cli.context import Context
from cli.errors import CliError, Exit
from cli.lint_command import load_or_leave
from cli.output import Json, answer, without_password
from cli.parameters import PlanPath
from rehearsal.backtest import backtest as replay
from rehearsal.errors import NothingRecordedError, RehearsalError
from rehearsal.pace import tick_seconds
from rehearsal.ranges import Ranges
from rehearsal.recorded import Recorded
from rehearsal.source import check_recorded, running, stored
from rollout.errors import QuantityError
from rollout.gate import COHORT_PATTERN
from rollout.plan import RolloutPlan
from rollout.quantity import parse_duration
from stack.errors import StackError

_TIMES = "2026-01-05T08:00 (UTC unless it has an offset), 14d for so long ago, or now"


def backtest(  # noqa: PLR0913, PLR0917  each is an option of the command line
    plan: PlanPath,
    begin: Annotated[str, typer.Option("--from", help=f"Begin: {_TIMES}.")],
    end: Annotated[str, typer.Option("--to", help="End, written as --from.")] = "now",
    prometheus: Annotated[str, typer.Option(help="Its address; default: PROMETHEUS_URL.")] = "",
    tsdb: Annotated[
        Path | None, typer.Option(help="Read this data folder of a Prometheus; it isn't changed.")
    ] = None,
    treatment: Annotated[
        str, typer.Option(help="Whose series stand for the treatment's: treatment, control, all.")
    ] = "treatment",
    every: Annotated[str, typer.Option(help="How often red flags look; default: 1m or less.")] = "",
    json: Json = False,
) -> None:
    """Replay a plan's gates over recorded metrics: each verdict, alarms a week, gates without data.

    Over a time in which nothing was wrong, every alarm is a false one. Gates look at their step's
    interval. Before the first rollout only control is recorded: --treatment control.
    """
    now = datetime.now(UTC)
    times = (_time("--from", begin, now), _time("--to", end, now))
    if times[1] <= times[0]:
        raise CliError("--to must be later than --from.", Exit.USAGE)
    if treatment not in COHORT_PATTERN:
        known = ", ".join(COHORT_PATTERN)
        raise CliError(f"--treatment {treatment!r} is none of {known}.", Exit.USAGE)
    if tsdb is not None and not tsdb.is_dir():
        raise CliError(f"--tsdb {tsdb} is no folder.", Exit.USAGE)
    checked = load_or_leave(plan, json)
    often = _every(every, checked)
    url = prometheus or Context.read().prometheus_url
    try:
        with _opened(checked, url, tsdb) as ranges:
            recorded = Recorded(checked, ranges, *times, treatment)  # type: ignore[arg-type]  # checked above
            check_recorded(recorded, tsdb, now)
            done = replay(recorded, often)
    except NothingRecordedError as error:
        raise CliError(str(error), Exit.NOT_FOUND) from error
    except (RehearsalError, StackError) as error:
        hint = "" if tsdb else "; is it the right one (--prometheus, or PROMETHEUS_URL)?"
        raise CliError(without_password(str(error)) + hint, Exit.UNREACHABLE) from error
    done = done.model_copy(update={"source": str(tsdb or without_password(url))})
    if json:
        answer(True, document(done), "")
    else:
        show(done)


def _opened(plan: RolloutPlan, url: str, tsdb: Path | None) -> AbstractContextManager[Ranges]:
    return running(url) if tsdb is None else stored(tsdb, tick_seconds(plan))


def _time(option: str, text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return now - parse_duration(text)
        except QuantityError:
            raise CliError(f"{option} {text!r}: write for example {_TIMES}.", Exit.USAGE) from None
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _every(text: str, plan: RolloutPlan) -> timedelta:
    if not text:
        return timedelta(seconds=tick_seconds(plan))
    try:
        every = parse_duration(text)
    except QuantityError as error:
        raise CliError(f"--every: {error}", Exit.USAGE) from error
    if every < timedelta(seconds=1):
        raise CliError("--every must be at least 1s.", Exit.USAGE)
    return every
