"""Signals that any client can send: one that carries no command must not stop the rollout.

The SDK drops a payload that does not decode. It passes on a missing argument, a second one, and
``null``. The handler would then fail the workflow's task, and with it the watch of the red flags.
"""

from temporalio import workflow
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    from sluice.rollout.engine.commands import Command
    from sluice.rollout.engine.decision_context import LOWERING_VERBS

UNNAMED = Command(actor="unnamed", reason="the signal carried no command")


class SignalGuard(Interceptor):
    """Worker interceptor: each signal's handler gets exactly one command."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002  the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        return _GuardedWorkflow


class _GuardedWorkflow(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002  the SDK's name
        """Pass a command on. Without one, only what lowers traffic is carried out."""
        if len(input.args) != 1 or not isinstance(input.args[0], Command):
            if input.signal not in LOWERING_VERBS:
                workflow.logger.warning("signal %s carried no command: ignored", input.signal)
                return
            input.args = [UNNAMED]
        await super().handle_signal(input)
