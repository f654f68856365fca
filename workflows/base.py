"""What every part of the workflow shares: its state, its wake-up call, and its flag writes."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.engine.commands import Command, Verb
    from sluice.rollout.engine.flag_target import DesiredFlag, FlagWrite, next_write
    from sluice.rollout.engine.state import State
    from sluice.rollout.engine.timeline import add_event
    from workflows import temporal_ui
    from workflows.models import RolloutInput

T = TypeVar("T")


class Preempted(Exception):  # noqa: N818  not an error: something more urgent came up
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
        self.published_attributes: temporal_ui.AttributeUpdates = []
        self.dispatches: list[asyncio.Task[None]] = []

    def wake(self) -> None:
        """Wake the main loop: something it must look at has happened."""
        self.revision += 1
        self.reconcile()

    def reconcile(self) -> None:
        """Start what follows from the state at once, even while the main loop is busy."""

    def must_reduce_traffic(self) -> bool:
        """Whether traffic has to go away before anything else may go on."""
        state = self.state
        rollback = state.rollback is not None and state.rollback.completed_at is None
        return (
            bool(state.aborted_by) or rollback or state.finding is not None or self.stop_signalled()
        )

    def stop_signalled(self) -> bool:
        """Whether a signal that the main loop has not taken yet asks to take traffic away."""
        return any(verb in (Verb.ABORT, Verb.ROLLBACK) for verb, _ in self.signals)

    async def preemptible(self, work: Awaitable[T]) -> T:
        """Await ``work``, but drop it the moment something urgent comes up.

        Raises:
            Preempted: the work is abandoned. The fence refuses a flag write of it that arrives late.
        """
        task = asyncio.ensure_future(work)
        await workflow.wait_condition(lambda: task.done() or self.must_reduce_traffic())
        if not task.done():
            abandon(task)
            raise Preempted
        return await task

    def next_write(self, desired: DesiredFlag, actor: str, reason: str) -> FlagWrite:
        return next_write(self.state, desired, actor, reason)

    def add_event(self, kind: str, text: str, actor: str = "sluice") -> None:
        add_event(self.state, workflow.now(), kind, text, actor)


def abandon(task: asyncio.Future[T]) -> None:
    """Leave ``task`` to end by itself, and ignore its result.

    It is not cancelled. A cancelled activity that fails later can wedge its workflow (see
    ``activity_options``). Each activity that is abandoned ends by itself: its attempts are limited,
    or the fence refuses its write.
    """
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


def root_cause(error: BaseException) -> str:
    """Find the innermost message: what a person wants to read of an activity's failure."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)
