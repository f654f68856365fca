"""Following a rollout: a live picture on a terminal, one line per change elsewhere."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live

from cli.errors import CliError, Exit
from cli.output import answer
from cli.rollouts import Rollouts
from cli.screen import screen
from rollout.exposure import budget
from rollout.judge import format_value
from rollout.state import State, Status
from rollout.verdict import Check, Outcome

REFRESH_SECONDS = 0.5
SILENCE_SECONDS_MAX = 60.0
Waiting = tuple[str, datetime | None]
Look = Callable[[State], Awaitable[None]]


def summary(state: State, waiting: Waiting) -> dict[str, Any]:
    """Give the state without the plan, as JSON for scripts."""
    document = state.model_dump(mode="json", exclude={"plan"})
    step = state.step.name if state.step else None
    outcome = state.check.outcome if state.check else None
    more = {"flag": state.plan.flag, "plan": state.plan.name, "step": step, "outcome": outcome}
    split = budget(state.plan, state.tracks)
    alpha = {"total": split.total, "spent": split.spent} if split else None
    return {**document, **more, "alpha": alpha, "waiting_for": waiting[0], "next_at": waiting[1]}


class View(Protocol):
    """Where a followed rollout is shown."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def show(self, state: State, waiting: Waiting) -> None: ...


class LiveView:
    """A picture that is redrawn in place."""

    def __init__(self, console: Console, links: dict[str, str]) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._links = links

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, state: State, waiting: Waiting) -> None:
        self._live.update(screen(state, waiting, datetime.now(UTC), self._links), refresh=True)


class LineView:
    """Every new line of the timeline and every new check, for pipes and log files."""

    def __init__(self, as_json: bool = False) -> None:
        self._json = as_json
        self._events = 0
        self._check = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to put back."""

    def show(self, state: State, waiting: Waiting) -> None:
        shown = state.shown_check
        check = shown.id if shown else ""
        if len(state.timeline) == self._events and check == self._check:
            return
        if self._json:
            answer(True, summary(state, waiting), "")
        else:
            for event in state.timeline[self._events :]:
                if event.kind == "check":
                    continue  # the readings themselves follow
                print(f"{event.at:%H:%M:%S} {event.kind:<9} {event.text}", flush=True)
            if shown is not None and check != self._check:
                print(_readings(state, shown), flush=True)
        self._events, self._check = len(state.timeline), check


def _readings(state: State, check: Check) -> str:
    """Whole sentences of what is not well; of what is well the values only, so that one reads them."""
    place = f"{check.at:%H:%M:%S} check     {check.id} {state.percentage:g} %"
    said = _values(check) if check.outcome is Outcome.SUCCESSFUL else check.because
    return f"{place}: {check.outcome}: {said}"


def _values(check: Check) -> str:
    values = (f"{one.gate} {format_value(one.value, one.unit)}" for one in check.verdicts)
    return f"all {len(check.verdicts)} gates: {', '.join(values)}"


def view_for(console: Console, links: dict[str, str], as_json: bool) -> View:
    if console.is_terminal and not as_json:
        return LiveView(console, links)
    return LineView(as_json)


async def follow(rollouts: Rollouts, flag: str, view: View, look: Look | None = None) -> State:
    """Show the rollout until it ends, or is Degraded and confirmed; gives the last state.

    Raises:
        CliError: UNREACHABLE when nothing answers for a minute; a worker may well be restarted.
    """
    patience = Patience()
    with view:
        while True:
            try:
                state, waiting = await rollouts.state(flag), await rollouts.waiting(flag)
            except CliError as error:
                patience.try_again_after(error)
                continue
            patience = Patience()
            view.show(state, waiting)
            if look is not None:
                await look(state)
            if state.ended or settled(state):
                return state
            await asyncio.sleep(REFRESH_SECONDS)


class Patience:
    """How long a silence is borne."""

    def __init__(self) -> None:
        self._until = time.monotonic() + SILENCE_SECONDS_MAX

    def try_again_after(self, error: CliError) -> None:
        """Raise the error again when it is of another kind, or has lasted too long."""
        if error.code is not Exit.UNREACHABLE or time.monotonic() > self._until:
            raise error


def settled(state: State) -> bool:
    """Whether it is Degraded and every router process was asked: nothing happens by itself now."""
    rollback = state.rollback
    degraded = state.status is Status.DEGRADED
    return degraded and rollback is not None and rollback.confirmed_at is not None
