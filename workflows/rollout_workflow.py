"""The rollout: ask what to do next, do it, ask again, for four weeks if need be."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.engine.commands import Command, Verb
    from sluice.rollout.engine.decide import (
        Decision,
        EnterStep,
        Finish,
        RollBack,
        RunCheck,
        RunChecklist,
        Wait,
        decide,
    )
    from sluice.rollout.engine.executor import apply_decision
    from sluice.rollout.engine.transitions import apply_command
    from workflows import activity_options
    from workflows.base import Preempted
    from workflows.command_handlers import CommandHandlers
    from workflows.models import RolloutInput, RolloutResult


@workflow.defn
class RolloutWorkflow(CommandHandlers):
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
                apply_command(self.state, workflow.now(), Verb.ABORT, by)
                self.wake()

    async def _roll_out(self) -> RolloutResult:
        while not self.state.has_ended:
            self.apply_signals()
            self.sync_watch()
            self.reconcile()
            decision = decide(self.state, workflow.now())
            await self._continue_if_long(decision)
            try:
                await self._execute(decision)
            except Preempted:
                continue
        await self.wait_for_dispatch()
        await workflow.wait_condition(workflow.all_handlers_finished)
        state = self.state
        return RolloutResult(status=state.status, percentage=state.percentage, report=state.report)

    async def _execute(self, decision: Decision) -> None:
        if apply_decision(self.state, workflow.now(), decision):
            return
        deeds: dict[type, Callable[[Any], Awaitable[None]]] = {
            EnterStep: self.enter_step,
            RunCheck: self.run_check,
            RunChecklist: self.run_checklist,
            RollBack: self.roll_back,
            Wait: self.wait,
            Finish: self.finish,
        }
        await deeds[type(decision)](decision)

    async def _continue_if_long(self, decision: Decision) -> None:
        """Continue as new between two actions; never while traffic has to go away."""
        if (
            not isinstance(decision, Wait | RunCheck | RunChecklist)
            or self.must_reduce_traffic()
            or self.is_reverting
        ):
            return
        if workflow.info().get_current_history_length() < activity_options.HISTORY_EVENTS_MAX:
            return
        self.stop_watch()
        await self.wait_for_dispatch()
        await workflow.wait_condition(workflow.all_handlers_finished)
        self.cancel_confirmation()
        if not self.must_reduce_traffic():
            workflow.continue_as_new(RolloutInput(plan=self.state.plan, state=self.state))
