"""The part of a rollout that every component of its workflow shares: state, signals, wake-up."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.engine.commands import Command, Verb
    from sluice.rollout.engine.flag_target import describe_pending_reduction
    from sluice.rollout.engine.state import State
    from workflows import temporal_ui

T = TypeVar("T")


class Preempted(Exception):  # noqa: N818  not an error: something more urgent came up
    """The work was dropped because traffic has to go away first."""


class RolloutContext:
    """A rollout's state, the signals that wait for its main loop, and its status page."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.signals: list[tuple[Verb, Command]] = []
        self.waiting_for = "starting"
        self.waiting_until: datetime | None = None
        self.on_wake: Callable[[], None] = lambda: None
        self._revision = 0
        self._published_attributes: temporal_ui.AttributeUpdates = []

    @property
    def waiting(self) -> tuple[str, datetime | None]:
        """The reason to wait, and its end; a reduction that is not written yet goes first."""
        if reduction := describe_pending_reduction(self.state):
            return reduction, None
        return self.waiting_for, self.waiting_until

    def wake(self) -> None:
        """Wake the main loop, and start at once what follows from the state."""
        self._revision += 1
        self.on_wake()

    def must_reduce_traffic(self) -> bool:
        """Return True if traffic has to go away before anything else may go on."""
        state = self.state
        is_stopping = state.abort is not None or state.pending_rollback is not None
        return is_stopping or state.red_flags.finding is not None or self.stop_signalled()

    def stop_signalled(self) -> bool:
        """Return True if a signal that still waits for the main loop takes traffic away."""
        return any(verb in (Verb.ABORT, Verb.ROLLBACK) for verb, _ in self.signals)

    async def preemptible(self, work: Awaitable[T]) -> T:
        """Await ``work``, but drop it the moment traffic has to go away.

        Raises:
            Preempted: the work is abandoned. The fence refuses a raise of it that arrives late.
        """
        return await unless(self.must_reduce_traffic, work)

    async def wait(self, until: datetime | None, reason: str) -> None:
        """Publish what the rollout waits for; return at ``until``, or when something wakes it."""
        self.publish_status(reason, until)
        revision, timeout = self._revision, None
        if until is not None:
            timeout = max(0.0, (until - workflow.now()).total_seconds())
        try:
            await workflow.wait_condition(
                lambda: self._revision != revision, timeout=timeout, timeout_summary=reason[:200]
            )
        except TimeoutError:
            return

    def publish_status(self, reason: str, until: datetime | None = None) -> None:
        """Set what queries answer, the Temporal UI's current details and the search attributes."""
        self.waiting_for, self.waiting_until = reason, until
        details = temporal_ui.current_details(self.state, reason, until, workflow.now())
        workflow.set_current_details(details)
        attributes = temporal_ui.search_attributes(self.state)
        if attributes != self._published_attributes:
            workflow.upsert_search_attributes(attributes)
            self._published_attributes = attributes


async def unless(is_obsolete: Callable[[], bool], work: Awaitable[T]) -> T:
    """Await ``work``, but abandon it once it is obsolete.

    Raises:
        Preempted: the work is abandoned.
    """
    task = asyncio.ensure_future(work)
    await workflow.wait_condition(lambda: task.done() or is_obsolete())
    if not task.done():
        abandon(task)
        raise Preempted
    return await task


def abandon(task: asyncio.Future[T]) -> None:
    """Leave ``task`` to end by itself, and ignore its result.

    It is not cancelled. A cancelled activity that fails later can wedge its workflow (see
    ``activity_options``). Each activity that is abandoned ends by itself: its attempts are limited,
    or the store refuses what it would raise.
    """
    task.add_done_callback(lambda future: future.cancelled() or future.exception())


def root_cause(error: BaseException) -> str:
    """Return the innermost message: what a person wants to read of an activity's failure."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)
