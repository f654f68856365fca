"""The rollout: decide, carry the decision out, decide again, for four weeks if need be."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.admission import rejection_reason
    from sluice.rollout.engine.approvals import signer_rejection
    from sluice.rollout.engine.commands import HELP, Acknowledgement, Command, Signer, Verb
    from sluice.rollout.engine.decide import Decision, RunCheck, RunChecklist, Wait, decide
    from sluice.rollout.engine.decision_context import LOWERING_VERBS
    from sluice.rollout.engine.executor import execute
    from sluice.rollout.engine.preconditions import blocked_reason
    from sluice.rollout.engine.state import State
    from workflows.activity_options import HISTORY_EVENTS_MAX
    from workflows.code_revert import CodeReverter
    from workflows.context import Preempted, RolloutContext
    from workflows.decision_verification import command_refusal, verify_command, verify_start
    from workflows.models import RolloutInput, RolloutResult
    from workflows.notice_dispatch import NoticeDispatcher
    from workflows.propagation import PropagationMonitor
    from workflows.red_flag_watch import RedFlagWatcher
    from workflows.world import TemporalWorld

for model in (State, RolloutInput):
    model.model_rebuild()  # builds the validators now: a workflow's first task has two seconds


@workflow.defn
class RolloutWorkflow:
    """One rollout of one flag (workflow id ``rollout-<flag>``).

    Handlers change the state; the main loop decides and acts.
    """

    @workflow.init
    def __init__(self, start: RolloutInput) -> None:
        info = workflow.info()
        self.state = start.state or start.new_state(
            info.workflow_id, info.first_execution_run_id, workflow.now()
        )
        self.context = RolloutContext(self.state)
        self.context.on_wake = self._sync_background
        self.watcher = RedFlagWatcher(self.context)
        self.notices = NoticeDispatcher()
        self.propagation = PropagationMonitor(self.context)
        self.code_reverter = CodeReverter(self.context)
        self.world = TemporalWorld(self.context, self.watcher, self.propagation, self.code_reverter)

    @workflow.run
    async def run(self, start: RolloutInput) -> RolloutResult:
        """Run the plan to its end. Cancelling means abort: 0 %, a report, then the end."""
        rollout = asyncio.create_task(self._roll_out(start))
        while True:
            try:
                return await asyncio.shield(rollout)
            except asyncio.CancelledError:
                if rollout.done():
                    raise
                by = Command(actor="temporal", reason="the workflow was cancelled")
                transitions.apply_command(self.state, workflow.now(), Verb.ABORT, by)
                self.context.wake()

    async def _roll_out(self, start: RolloutInput) -> RolloutResult:
        state = self.state
        if start.state is None:
            await verify_start(state, start)
        while not state.has_ended:
            await self._apply_signals()
            self._reconcile()
            decision = decide(state, workflow.now())
            try:
                await self._continue_if_long(decision)
                await execute(state, workflow.now, decision, self.world)
            except Preempted:
                continue
        self.watcher.cancel()
        self.context.publish_status("finished")
        await self.world.record_end()
        await self.notices.drain(state)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return RolloutResult(status=state.status, percentage=state.percentage, report=state.report)

    async def _apply_signals(self) -> None:
        """Apply the signals, lowering ones first; the timeline gets the reason of a refusal."""
        signals = self.context.signals
        while signals:
            lowering = (candidate for candidate in signals if candidate[0] in LOWERING_VERBS)
            verb, command = signal = next(lowering, signals[0])
            signals.remove(signal)
            try:
                await self._apply_verified(verb, command)
            except ApplicationError as error:
                text = f"{verb}: {error.message}"
                transitions.add_event(self.state, workflow.now(), "refused", text, command.actor)

    def _reconcile(self) -> None:
        """Start, replace or stop everything that runs beside the main loop."""
        self.watcher.sync(self.state)
        self._sync_background()

    def _sync_background(self) -> None:
        self.notices.sync(self.state)
        self.propagation.sync(self.state)
        self.code_reverter.sync(self.state)

    async def _continue_if_long(self, decision: Decision) -> None:
        """Continue as new between two actions; raise Preempted for what is more urgent."""
        is_calm = isinstance(decision, Wait | RunCheck | RunChecklist)
        if not is_calm or self._must_stay():
            return
        if workflow.info().get_current_history_length() < HISTORY_EVENTS_MAX:
            return
        self.watcher.cancel()
        await self.notices.drain(self.state)
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() or self._must_stay())
        if self._must_stay():
            raise Preempted
        self.propagation.cancel()
        workflow.continue_as_new(RolloutInput(plan=self.state.plan, state=self.state))

    def _must_stay(self) -> bool:
        return self.context.must_reduce_traffic() or self.code_reverter.is_running

    @workflow.query
    def get_state(self) -> State:
        """Return the whole state of the rollout."""
        return self.state

    @workflow.query
    def get_waiting(self) -> tuple[str, datetime | None]:
        """Return what the rollout waits for, and until when."""
        return self.context.waiting

    @workflow.update(name="approve", description=HELP[Verb.APPROVE])
    async def on_approve(self, command: Command) -> Acknowledgement:
        return await self._apply_verified(Verb.APPROVE, command)

    @on_approve.validator
    def validate_approve(self, command: Command) -> None:
        self._validate(Verb.APPROVE, command)

    @workflow.signal(name="approve", description=HELP[Verb.APPROVE])
    def on_approve_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.APPROVE, command)

    @workflow.update(name="promote", description=HELP[Verb.PROMOTE])
    async def on_promote(self, command: Command) -> Acknowledgement:
        return await self._apply_verified(Verb.PROMOTE, command)

    @on_promote.validator
    def validate_promote(self, command: Command) -> None:
        self._validate(Verb.PROMOTE, command)

    @workflow.signal(name="promote", description=HELP[Verb.PROMOTE])
    def on_promote_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.PROMOTE, command)

    @workflow.update(name="pause", description=HELP[Verb.PAUSE])
    async def on_pause(self, command: Command) -> Acknowledgement:
        return self._apply_command(Verb.PAUSE, command)

    @on_pause.validator
    def validate_pause(self, command: Command) -> None:
        self._validate(Verb.PAUSE, command)

    @workflow.signal(name="pause", description=HELP[Verb.PAUSE])
    def on_pause_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.PAUSE, command)

    @workflow.update(name="resume", description=HELP[Verb.RESUME])
    async def on_resume(self, command: Command) -> Acknowledgement:
        return await self._apply_verified(Verb.RESUME, command)

    @on_resume.validator
    def validate_resume(self, command: Command) -> None:
        self._validate(Verb.RESUME, command)

    @workflow.signal(name="resume", description=HELP[Verb.RESUME])
    def on_resume_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.RESUME, command)

    @workflow.update(name="retry", description=HELP[Verb.RETRY])
    async def on_retry(self, command: Command) -> Acknowledgement:
        return await self._apply_verified(Verb.RETRY, command)

    @on_retry.validator
    def validate_retry(self, command: Command) -> None:
        self._validate(Verb.RETRY, command)

    @workflow.signal(name="retry", description=HELP[Verb.RETRY])
    def on_retry_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.RETRY, command)

    @workflow.update(name="attest", description=HELP[Verb.ATTEST])
    async def on_attest(self, command: Command) -> Acknowledgement:
        return await self._apply_verified(Verb.ATTEST, command)

    @on_attest.validator
    def validate_attest(self, command: Command) -> None:
        self._validate(Verb.ATTEST, command)

    @workflow.signal(name="attest", description=HELP[Verb.ATTEST])
    def on_attest_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.ATTEST, command)

    @workflow.update(name="acknowledge", description=HELP[Verb.ACKNOWLEDGE])
    async def on_acknowledge(self, command: Command) -> Acknowledgement:
        return await self._apply_verified(Verb.ACKNOWLEDGE, command)

    @on_acknowledge.validator
    def validate_acknowledge(self, command: Command) -> None:
        self._validate(Verb.ACKNOWLEDGE, command)

    @workflow.signal(name="acknowledge", description=HELP[Verb.ACKNOWLEDGE])
    def on_acknowledge_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.ACKNOWLEDGE, command)

    @workflow.update(name="amend", description=HELP[Verb.AMEND])
    async def on_amend(self, command: Command) -> Acknowledgement:
        return await self._apply_verified(Verb.AMEND, command)

    @on_amend.validator
    def validate_amend(self, command: Command) -> None:
        self._validate(Verb.AMEND, command)

    @workflow.update(name="abort", description=HELP[Verb.ABORT])
    async def on_abort(self, command: Command) -> Acknowledgement:
        self._apply_command(Verb.ABORT, command)
        await workflow.wait_condition(self._is_abort_written)
        return self._acknowledge(Verb.ABORT, "aborted; the store has 0 %")

    @on_abort.validator
    def validate_abort(self, command: Command) -> None:
        self._validate(Verb.ABORT, command)

    @workflow.signal(name="abort", description=HELP[Verb.ABORT])
    def on_abort_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.ABORT, command)

    @workflow.update(name="rollback", description=HELP[Verb.ROLLBACK])
    async def on_rollback(self, command: Command) -> Acknowledgement:
        self._apply_command(Verb.ROLLBACK, command)
        await workflow.wait_condition(self._is_rollback_written)
        return self._acknowledge(Verb.ROLLBACK, "rolled back; the store has it")

    @on_rollback.validator
    def validate_rollback(self, command: Command) -> None:
        self._validate(Verb.ROLLBACK, command)

    @workflow.signal(name="rollback", description=HELP[Verb.ROLLBACK])
    def on_rollback_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.ROLLBACK, command)

    def _validate(self, verb: Verb, command: Command) -> None:
        if reason := rejection_reason(self.state, verb, command, workflow.now()):
            raise command_refusal(reason)

    def _enqueue_signal(self, verb: Verb, command: Command) -> None:
        self.context.signals.append((verb, command))
        self.context.wake()

    async def _apply_verified(self, verb: Verb, command: Command) -> Acknowledgement:
        self._validate(verb, command)
        signer = await verify_command(self.state, verb, command)
        return self._apply_command(verb, command, signer)

    def _apply_command(
        self, verb: Verb, command: Command, signer: Signer | None = None
    ) -> Acknowledgement:
        self._validate(verb, command)  # the state may have changed since the validator ran
        if signer and verb is Verb.APPROVE and (reason := signer_rejection(self.state, signer)):
            raise command_refusal(reason)
        transitions.apply_command(self.state, workflow.now(), verb, command, signer)
        self.context.wake()
        return self._acknowledge(verb, blocked_reason(self.state, workflow.now()) or "accepted")

    def _is_abort_written(self) -> bool:
        abort = self.state.abort
        return abort is not None and abort.written_at is not None

    def _is_rollback_written(self) -> bool:
        return self.state.pending_rollback is None or self._is_abort_written()

    def _acknowledge(self, verb: Verb, message: str) -> Acknowledgement:
        state = self.state
        return Acknowledgement(
            verb=verb,
            status=str(state.status),
            step=state.step.name if state.step else None,
            percentage=state.percentage,
            at=workflow.now(),
            message=message,
        )
