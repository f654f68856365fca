"""The output of ``sluice watch``: a live screen, or one line per change for pipes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live

from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.errors import CliError, Exit
from sluice.cli.output import print_note, print_result
from sluice.cli.views.rollout import rollout_panel
from sluice.rollout.analysis.value_format import format_value
from sluice.rollout.analysis.verdict import Check, Outcome
from sluice.rollout.engine.state import State, Status
from sluice.rollout.plan.alpha_budget import allocate_alpha
from sluice.rollout.review.outlook import expected_verdict_at, live_exposure
from sluice.rollout.units import format_count

REFRESH_SECONDS = 0.5
UNREACHABLE_SECONDS_MAX = 60.0
WaitingFor = tuple[str, datetime | None]
OnState = Callable[[State], Awaitable[None]]


def state_document(state: State, waiting: WaitingFor) -> dict[str, Any]:
    """Return the state without the plan, as JSON values."""
    document = state.model_dump(mode="json", exclude={"plan"})
    step = state.step.name if state.step else None
    outcome = state.clock.check.outcome if state.clock.check else None
    summary = {"flag": state.plan.flag, "plan": state.plan.name, "step": step, "outcome": outcome}
    split = allocate_alpha(state.plan, state.sequential_states)
    alpha = {"total": split.total, "spent": split.spent} if split else None
    return {
        **document,
        **summary,
        **_outlook_document(state),
        "alpha": alpha,
        "waiting_for": waiting[0],
        "next_at": waiting[1],
    }


def _outlook_document(state: State) -> dict[str, Any]:
    now = datetime.now(UTC)
    exposure = live_exposure(state, now)
    return {
        "expected_verdict_at": expected_verdict_at(state, now),
        "exposure": exposure.model_dump(mode="json") if exposure else None,
    }


class View(Protocol):
    """Port of the output of a followed rollout."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def show(self, state: State, waiting: WaitingFor) -> None: ...


class LiveView:
    """Output that is redrawn in place."""

    def __init__(self, console: Console, links: dict[str, str]) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._links = links

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, state: State, waiting: WaitingFor) -> None:
        self._live.update(
            rollout_panel(state, waiting, datetime.now(UTC), self._links), refresh=True
        )


class LineView:
    """Output of one line per event and check, for pipes and log files."""

    def __init__(self, as_json: bool = False) -> None:
        self._json = as_json
        self._events = 0
        self._check = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing: lines need no cleanup."""

    def show(self, state: State, waiting: WaitingFor) -> None:
        latest = state.latest_check
        check = latest.id if latest else ""
        if len(state.timeline) == self._events and check == self._check:
            return
        if self._json:
            print_result(True, state_document(state, waiting), "")
        else:
            for event in state.timeline[self._events :]:
                if event.kind == "check":
                    continue  # the readings themselves follow
                print(f"{event.at:%H:%M:%S} {event.kind:<9} {event.text}", flush=True)
            if latest is not None and check != self._check:
                print(_check_line(state, latest), flush=True)
        self._events, self._check = len(state.timeline), check


def _check_line(state: State, check: Check) -> str:
    """Return a check as a line: the values when it passed, the reasons when not."""
    place = f"{check.at:%H:%M:%S} check     {check.id} {state.percentage:g} %"
    text = _reading_values(check) if check.outcome is Outcome.SUCCESSFUL else check.reason
    return f"{place}: {check.outcome}: {text}"


def _reading_values(check: Check) -> str:
    values = (
        f"{verdict.gate} {format_value(verdict.value, verdict.unit)}" for verdict in check.verdicts
    )
    return f"{format_count(len(check.verdicts), 'gate')}: {', '.join(values)}"


def choose_view(console: Console, links: dict[str, str], as_json: bool) -> View:
    if console.is_terminal and not as_json:
        return LiveView(console, links)
    return LineView(as_json)


async def follow(
    rollouts: Rollouts, flag: str, view: View, on_state: OnState | None = None
) -> State:
    """Show the rollout until it ends, or is Degraded and confirmed; return the last state.

    Raises:
        CliError: UNREACHABLE after a minute without an answer, which leaves time for a worker's restart.
    """
    patience = UnreachableTimer()
    with view:
        while True:
            try:
                state, waiting = (
                    await rollouts.fetch_state(flag),
                    await rollouts.fetch_waiting(flag),
                )
            except CliError as error:
                patience.raise_if_expired(error)
                continue
            patience = UnreachableTimer()
            view.show(state, waiting)
            if on_state is not None:
                await on_state(state)
            if state.has_ended or is_settled(state):
                return state
            await asyncio.sleep(REFRESH_SECONDS)


class UnreachableTimer:
    """Limit on the time without an answer, whose first error is printed at once."""

    def __init__(self) -> None:
        self._until = time.monotonic() + UNREACHABLE_SECONDS_MAX
        self._is_reported = False

    def raise_if_expired(self, error: CliError) -> None:
        """Raise the error when it is of another kind, or when the time is over."""
        if error.code is not Exit.UNREACHABLE or time.monotonic() > self._until:
            raise error
        if not self._is_reported:
            print_note(f"{error} Waiting up to {UNREACHABLE_SECONDS_MAX:.0f} s for an answer.")
        self._is_reported = True


def is_settled(state: State) -> bool:
    """Return True when it is Degraded and confirmed, so that only a person can change it."""
    rollback = state.rollback
    degraded = state.status is Status.DEGRADED
    return degraded and rollback is not None and rollback.confirmed_at is not None
