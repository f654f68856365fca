"""People's commands: updates (answered, or refused with a reason) and signals of the same names."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.admission import rejection_reason
    from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
    from sluice.rollout.engine.preconditions import blocked_reason
    from sluice.rollout.engine.state import State
    from workflows.executor import DecisionExecutor


class CommandHandlers(DecisionExecutor):
    """Handlers flip state and the main loop decides; an abort also writes 0 % right here."""

    @workflow.query
    def get_state(self) -> State:
        """Give the whole state of the rollout."""
        return self.state

    @workflow.query
    def get_waiting(self) -> tuple[str, datetime | None]:
        """Tell what the rollout waits for, and until when."""
        return self.waiting_for, self.waiting_until

    @workflow.update(name="approve", description="Approve the step that waits for a person.")
    async def on_approve(self, command: Command) -> Acknowledgement:
        return self._apply_command(Verb.APPROVE, command)

    @on_approve.validator
    def validate_approve(self, command: Command) -> None:
        self._validate(Verb.APPROVE, command)

    @workflow.signal(name="approve", description="Approve the step that waits for a person.")
    def on_approve_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.APPROVE, command)

    @workflow.update(
        name="promote", description="Skip the rest of the step's wait; never a red flag."
    )
    async def on_promote(self, command: Command) -> Acknowledgement:
        return self._apply_command(Verb.PROMOTE, command)

    @on_promote.validator
    def validate_promote(self, command: Command) -> None:
        self._validate(Verb.PROMOTE, command)

    @workflow.signal(
        name="promote", description="Skip the rest of the step's wait; never a red flag."
    )
    def on_promote_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.PROMOTE, command)

    @workflow.update(
        name="pause", description="Stay at the current percentage; red flags stay on guard."
    )
    async def on_pause(self, command: Command) -> Acknowledgement:
        return self._apply_command(Verb.PAUSE, command)

    @on_pause.validator
    def validate_pause(self, command: Command) -> None:
        self._validate(Verb.PAUSE, command)

    @workflow.signal(
        name="pause", description="Stay at the current percentage; red flags stay on guard."
    )
    def on_pause_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.PAUSE, command)

    @workflow.update(name="resume", description="Go on after a pause; stability starts again.")
    async def on_resume(self, command: Command) -> Acknowledgement:
        return self._apply_command(Verb.RESUME, command)

    @on_resume.validator
    def validate_resume(self, command: Command) -> None:
        self._validate(Verb.RESUME, command)

    @workflow.signal(name="resume", description="Go on after a pause; stability starts again.")
    def on_resume_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.RESUME, command)

    @workflow.update(
        name="retry", description="Enter the step that was rolled back again, with a fresh clock."
    )
    async def on_retry(self, command: Command) -> Acknowledgement:
        return self._apply_command(Verb.RETRY, command)

    @on_retry.validator
    def validate_retry(self, command: Command) -> None:
        self._validate(Verb.RETRY, command)

    @workflow.signal(
        name="retry", description="Enter the step that was rolled back again, with a fresh clock."
    )
    def on_retry_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.RETRY, command)

    @workflow.update(name="attest", description="Say that an item of a checklist is true.")
    async def on_attest(self, command: Command) -> Acknowledgement:
        return self._apply_command(Verb.ATTEST, command)

    @on_attest.validator
    def validate_attest(self, command: Command) -> None:
        self._validate(Verb.ATTEST, command)

    @workflow.signal(name="attest", description="Say that an item of a checklist is true.")
    def on_attest_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.ATTEST, command)

    @workflow.update(
        name="abort", description="End the rollout at 0 %; answers when the flag is there."
    )
    async def on_abort(self, command: Command) -> Acknowledgement:
        self._apply_command(Verb.ABORT, command)
        await self.abort_to_zero(command.actor, command.reason or "abort")
        return self._acknowledge(Verb.ABORT, "aborted; the store has 0 %")

    @on_abort.validator
    def validate_abort(self, command: Command) -> None:
        self._validate(Verb.ABORT, command)

    @workflow.signal(
        name="abort", description="End the rollout at 0 %; answers when the flag is there."
    )
    def on_abort_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.ABORT, command)

    @workflow.update(
        name="rollback",
        description="Step back, or with emergency: 0 % and killed; answers when done.",
    )
    async def on_rollback(self, command: Command) -> Acknowledgement:
        self._apply_command(Verb.ROLLBACK, command)
        await workflow.wait_condition(self._is_rolled_back)
        return self._acknowledge(Verb.ROLLBACK, "rolled back; the store has it")

    @on_rollback.validator
    def validate_rollback(self, command: Command) -> None:
        self._validate(Verb.ROLLBACK, command)

    @workflow.signal(
        name="rollback",
        description="Step back, or with emergency: 0 % and killed; answers when done.",
    )
    def on_rollback_signal(self, command: Command) -> None:
        self._enqueue_signal(Verb.ROLLBACK, command)

    def apply_signals(self) -> None:
        """Carry out what was signalled; what doesn't fit is told in the timeline."""
        while self.signals:
            verb, command = self.signals.pop(0)
            if reason := rejection_reason(self.state, verb, command, workflow.now()):
                self.add_event("refused", f"{verb}: {reason}", command.actor)
            else:
                transitions.apply_command(self.state, workflow.now(), verb, command)

    def _validate(self, verb: Verb, command: Command) -> None:
        if reason := rejection_reason(self.state, verb, command, workflow.now()):
            raise ApplicationError(reason, type="CommandRefused", non_retryable=True)

    def _enqueue_signal(self, verb: Verb, command: Command) -> None:
        self.signals.append((verb, command))
        self.wake()

    def _apply_command(self, verb: Verb, command: Command) -> Acknowledgement:
        self._validate(verb, command)  # the state may have moved since the validator looked
        transitions.apply_command(self.state, workflow.now(), verb, command)
        self.wake()
        return self._acknowledge(verb, blocked_reason(self.state, workflow.now()) or "taken")

    def _is_rolled_back(self) -> bool:
        rollback = self.state.rollback
        return rollback is None or rollback.completed_at is not None or bool(self.state.aborted_by)

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
