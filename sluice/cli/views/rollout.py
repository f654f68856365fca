"""The live screen of a rollout's state, used by ``watch``, ``status`` and the demo."""

from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sluice.cli.views.check import check_view, gates_table
from sluice.cli.views.preconditions import precondition_parts
from sluice.rollout.engine.escalation import describe_acknowledged
from sluice.rollout.engine.evidence_context import alpha_summary
from sluice.rollout.engine.runbook import runbook_for_alert
from sluice.rollout.engine.state import State, Status
from sluice.rollout.review.outlook import describe_outlook
from sluice.rollout.units import format_count, format_duration

STATUS_STYLES = {
    Status.PROGRESSING: "bold cyan",
    Status.PAUSED: "bold yellow",
    Status.DEGRADED: "bold red",
    Status.HEALTHY: "bold green",
    Status.ABORTED: "bold magenta",
}
EVENT_STYLES = {"red_flag": "red", "rollback": "red", "problem": "red", "end": "bold"}
EVENTS_SHOWN = 7
BAR_WIDTH = 36
NAMES_ARE_CLAIMS = "No keyring is set at the worker: names are claims."


def rollout_panel(
    state: State, waiting: tuple[str, datetime | None], now: datetime, links: dict[str, str]
) -> RenderableType:
    """Draw the rollout: its step, the readings against their limits, and the next event."""
    parts: list[RenderableType] = [
        _status_line(state),
        _steps_line(state),
        _progress(state, waiting, now),
    ]
    parts += precondition_parts(state, now)
    if (check := state.latest_check) is not None:
        parts += [
            Text(),
            gates_table(check) if state.clock.check else check_view(check, state.percentage),
        ]
    if state.rollback is not None:
        parts.append(_rollback(state))
    parts += [Text(), _timeline(state)]
    if not state.decisions.has_keyring:
        parts.append(Text(NAMES_ARE_CLAIMS, style="dim"))
    parts += [Text(f"{name}: {link}", style="dim") for name, link in links.items()]
    title = f"[bold]sluice[/] · {state.plan.flag} · plan {state.plan.name}"
    return Panel(Group(*parts), title=title, title_align="left", border_style="cyan")


def _status_line(state: State) -> RenderableType:
    step = state.step
    text = Text()
    text.append(str(state.status), style=STATUS_STYLES[state.status])
    text.append(f"  {state.percentage:g} % of users", style="bold")
    text.append(f"  ·  {step.heading}" if step else "  ·  all stages done")
    if step is not None and step.audience and step.audience not in step.title:
        text.append(f"  ·  for {step.audience}", style="dim")
    return text


def _steps_line(state: State) -> RenderableType:
    text = Text()
    for index, step in enumerate(state.plan.steps):
        is_done, is_current = index < state.step_index, index == state.step_index
        mark, style = (
            ("●", "green") if is_done else ("◉", "bold cyan") if is_current else ("○", "dim")
        )
        text.append(f"{mark} {step.name}  ", style=style)
    return text


def _progress(state: State, waiting: tuple[str, datetime | None], now: datetime) -> RenderableType:
    reason, until = waiting
    row = Table.grid(padding=(0, 2))
    step = state.step
    if step is not None and state.clock.started_at is not None:
        soak_time = state.soak_time(now)
        total = max(step.hold.total_seconds(), 0.001)
        bar = ProgressBar(total, min(soak_time.total_seconds(), total), width=BAR_WIDTH)
        remaining = max(step.hold - soak_time, timedelta(0))
        row.add_row(bar, f"{_format_remaining(remaining)} left of {_format_remaining(step.hold)}")
    lines = Text(reason, style="italic")
    if until is not None:
        lines.append(
            f"  ·  next in {_format_remaining(max(until - now, timedelta(0)))}", style="dim"
        )
    outlook = describe_outlook(state, now)
    more = [Text(outlook, style="dim")] if outlook else []
    return Group(row, lines, *more, _red_flags_line(state), *_acknowledged_lines(state))


def _acknowledged_lines(state: State) -> list[Text]:
    return [
        Text(describe_acknowledged(acknowledgement), style="yellow")
        for acknowledgement in state.red_flags.acknowledged
    ]


def _red_flags_line(state: State) -> RenderableType:
    step = state.exposed_step
    if state.has_ended:
        return Text("no active red flags: the rollout has ended", style="dim")
    if step is None or not (state.percentage or step.whitelist or step.red_flags):
        return Text("no active red flags: no user is exposed", style="dim")
    if not step.red_flags:
        return Text("no active red flags: the plan has none for this step", style="dim")
    every = format_duration(state.plan.watch_interval)
    text = f"{format_count(len(step.red_flags), 'red flag')} checked every {every}"
    return Text("  ·  ".join(part for part in (text, alpha_summary(state)) if part), style="dim")


def _format_remaining(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}:{seconds:02}"


def _rollback(state: State) -> RenderableType:
    rollback = state.rollback
    assert rollback is not None  # noqa: S101  the caller looked
    verb = "rolling back" if rollback.completed_at is None else "rolled back"
    text = Text(f"{verb} ({rollback.kind.replace('_', ' ')}): {rollback.reason}", style="red")
    if rollback.completed_at is not None:
        seconds = (rollback.completed_at - rollback.requested_at).total_seconds()
        text.append(f"\nflag at {state.percentage:g} % after {seconds:.2f} s", style="bold")
    if rollback.confirmation:
        text.append(f"; {rollback.confirmation}")
    if page := runbook_for_alert(state, "rolled_back"):
        text.append(f"\nrunbook: {page}", style="default")
    return text


def _timeline(state: State) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, min_width=len("00:00:00"))
    table.add_column(no_wrap=True, min_width=len("checklist"))
    table.add_column(no_wrap=True, overflow="ellipsis")
    for event in state.timeline[-EVENTS_SHOWN:]:
        parts = ("" if event.actor == "sluice" else event.actor, event.text)
        text = ": ".join(part for part in parts if part)
        style = EVENT_STYLES.get(event.kind, "dim")
        table.add_row(f"{event.at:%H:%M:%S}", event.kind, text, style=style)
    return table
