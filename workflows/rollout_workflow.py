"""The rollout: ask what to do next, do it, ask again, for four weeks if need be."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from rollout.commands import Command, Verb
    from rollout.decide import (
        CheckNow,
        Decision,
        Enter,
        Finish,
        LookThrough,
        RollBack,
        Wait,
        decide,
    )
    from rollout.moves import taken
    from rollout.settle import settle
    from workflows import policies
    from workflows.base import Interrupted
    from workflows.handlers import Handlers
    from workflows.models import RolloutInput, RolloutResult


@workflow.defn
class RolloutWorkflow(Handlers):
    """One rollout of one flag (workflow id ``rollout-<flag>``)."""

    @workflow.init
    def __init__(self, start: RolloutInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RolloutInput) -> RolloutResult:
        """Run the plan to its end. Cancelling means abort: 0 %, a report, then the end."""
        rollout = asyncio.create_task(self._roll_out())
        while True:
            try:
                return await asyncio.shield(rollout)
            except asyncio.CancelledError:
                if rollout.done():
                    raise
                by = Command(actor="temporal", reason="the workflow was cancelled")
                taken(self.state, workflow.now(), Verb.ABORT, by)
                self.changed()

    async def _roll_out(self) -> RolloutResult:
        while not self.state.ended:
            self.take_signals()
            self.sync_watch()
            self.keep_up()
            decision = decide(self.state, workflow.now())
            await self._continue_if_long(decision)
            try:
                await self._do(decision)
            except Interrupted:
                continue
        await self.notices_sent()
        await workflow.wait_condition(workflow.all_handlers_finished)
        state = self.state
        return RolloutResult(status=state.status, percentage=state.percentage, report=state.report)

    async def _do(self, decision: Decision) -> None:
        if settle(self.state, workflow.now(), decision):
            return
        deeds: dict[type, Callable[[Any], Awaitable[None]]] = {
            Enter: self.do_enter,
            CheckNow: self.do_check,
            LookThrough: self.do_look_through,
            RollBack: self.do_roll_back,
            Wait: self.do_wait,
            Finish: self.do_finish,
        }
        await deeds[type(decision)](decision)

    async def _continue_if_long(self, decision: Decision) -> None:
        """Continue as new between two actions; never while traffic has to go away."""
        if (
            not isinstance(decision, Wait | CheckNow | LookThrough)
            or self.urgent()
            or self.reverting
        ):
            return
        if workflow.info().get_current_history_length() < policies.HISTORY_EVENTS_MAX:
            return
        self.stop_watch()
        await self.notices_sent()
        await workflow.wait_condition(workflow.all_handlers_finished)
        self.stop_confirmation()
        if not self.urgent():
            workflow.continue_as_new(RolloutInput(plan=self.state.plan, state=self.state))
