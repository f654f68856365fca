"""What every part of the workflow shares: its state, its wake-up call, and its flag writes."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.models import FlagTarget, fenced
    from rollout.commands import Command, Verb
    from rollout.state import State
    from rollout.target import Target
    from rollout.telling import tell
    from workflows import presenting
    from workflows.models import RolloutInput

T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818  not an error: something more urgent came up
    """The effect was dropped because traffic has to go away first."""


class RolloutBase:
    """State and the few primitives that effects and handlers build on."""

    @workflow.init
    def __init__(self, start: RolloutInput) -> None:
        run_id = workflow.info().first_execution_run_id
        self.state = start.state or State(
            rollout_id=f"{workflow.info().workflow_id}/{run_id}",
            run_id=run_id,
            plan=start.plan,
            started_at=workflow.now(),
        )
        self.signals: list[tuple[Verb, Command]] = []
        self.revision = 0
        self.waiting_for = "starting"
        self.waiting_until: datetime | None = None
        self.shown: presenting.Attributes = []
        self.sending: list[asyncio.Task[None]] = []

    def changed(self) -> None:
        """Wake the main loop: something it must look at has happened."""
        self.revision += 1
        self.keep_up()

    def keep_up(self) -> None:
        """Start what follows from the state at once, even while the main loop is busy."""

    def urgent(self) -> bool:
        """Whether traffic has to go away before anything else may go on."""
        state = self.state
        rollback = state.rollback is not None and state.rollback.done_at is None
        return (
            bool(state.aborted_by) or rollback or state.finding is not None or self.signalled_away()
        )

    def signalled_away(self) -> bool:
        """Whether a signal that the main loop has not taken yet asks to take traffic away."""
        return any(verb in (Verb.ABORT, Verb.ROLLBACK) for verb, _ in self.signals)

    async def unless_urgent(self, work: Awaitable[T]) -> T:
        """Await ``work``, but drop it the moment something urgent comes up.

        Raises:
            Interrupted: the work was cancelled; a flag write of it that still lands is fenced off.
        """
        task = asyncio.ensure_future(work)
        await workflow.wait_condition(lambda: task.done() or self.urgent())
        if not task.done():
            drop(task)
            raise Interrupted
        return await task

    def flag_target(self, target: Target, actor: str, reason: str) -> FlagTarget:
        return fenced(self.state, target, actor, reason)

    def tell(self, kind: str, text: str, actor: str = "sluice") -> None:
        tell(self.state, workflow.now(), kind, text, actor)


def drop(task: asyncio.Future[T]) -> None:
    """Cancel what nobody waits for any more; how it ends is no news."""
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    task.cancel()


def cause(error: BaseException) -> str:
    """Find the innermost message: what a person wants to read of an activity's failure."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)
