"""The world of a rollout on Temporal: every effect is an activity."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.check import CheckActivities
    from activities.checklist import ChecklistActivities
    from activities.contract.models import (
        ChecklistRequest,
        ChecklistResult,
        EndRecord,
        ReportReceipt,
        ReportRequest,
    )
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.state import Status
    from sluice.rollout.engine.timeline import events_to_record
    from sluice.rollout.engine.world import CheckRequest, CheckResult, WorldError
    from sluice.rollout.plan.checklist import ChecklistItem, ItemResult
    from sluice.rollout.plan.schema import Step
    from workflows import activity_options
    from workflows.code_revert import CodeReverter
    from workflows.context import RolloutContext, root_cause
    from workflows.flag_writer import FlagWriter
    from workflows.propagation import PropagationMonitor
    from workflows.red_flag_watch import RedFlagWatcher


class TemporalWorld:
    """Implements ``sluice.rollout.engine.world.World``; what is preemptible raises Preempted."""

    def __init__(
        self,
        context: RolloutContext,
        watcher: RedFlagWatcher,
        propagation: PropagationMonitor,
        code_reverter: CodeReverter,
    ) -> None:
        self._context = context
        self._code_reverter = code_reverter
        self.write = FlagWriter(context, watcher).write
        self.confirm = propagation.confirm
        self.wait = context.wait

    async def check(self, request: CheckRequest) -> CheckResult:
        """Run the check as an activity; WorldError once its attempts are exhausted."""
        activity = workflow.start_activity_method(
            CheckActivities.check, request, summary=request.id, **activity_options.CHECK
        )
        state = self._context.state
        try:
            with self._dropping(request.ledger_key):
                result: CheckResult = await self._context.preemptible(activity)
        except FailureError as error:
            raise WorldError(root_cause(error)) from error
        transitions.receive_evidence(state, result.digest)
        return result

    @contextmanager
    def _dropping(self, *keys: str) -> Iterator[None]:
        """Note the rows that an activity may have added when its result does not arrive."""
        try:
            yield
        except BaseException:
            transitions.drop_evidence(self._context.state, *keys)
            raise

    async def run_checklist(
        self, step: Step, items: tuple[ChecklistItem, ...]
    ) -> tuple[ItemResult, ...]:
        """Run the checklist as an activity; WorldError once its attempts are exhausted."""
        state = self._context.state
        request = ChecklistRequest(
            rollout_id=state.rollout_id,
            step=step.name,
            environment=state.plan.environment,
            at=workflow.now(),
            items=items,
            metrics=state.plan.metrics,
            baseline_gates=state.plan.baselines,
            baseline=state.baseline,
            stale_after=state.plan.stale_after,
        )
        activity: workflow.ActivityHandle[ChecklistResult] = workflow.start_activity_method(
            ChecklistActivities.check_items,
            request,
            summary=f"checklist of {step.name}",
            **activity_options.CHECKLIST,
        )
        try:
            return (await self._context.preemptible(activity)).results
        except FailureError as error:
            raise WorldError(root_cause(error)) from error

    async def report(self, status: Status) -> str:
        """Write the post-mortem; a rollback may overtake a healthy end, nothing an abort."""
        state, is_aborted = self._context.state, status is Status.ABORTED
        if is_aborted:
            await self._code_reverter.wait_until_idle()
        self._context.publish_status("writing the post-mortem")
        request = ReportRequest(
            state=state, ending="Aborted" if is_aborted else "Healthy", at=workflow.now()
        )
        work = workflow.start_activity(
            "write_report",  # by name: its templates have no business in workflow code
            request,
            result_type=ReportReceipt,
            summary="post-mortem",
            **activity_options.REPORT,
        )
        with self._dropping(request.ledger_key("state"), request.ledger_key("report")):
            receipt: ReportReceipt = await (work if is_aborted else self._context.preemptible(work))
        if receipt.digest:  # a rehearsal writes no report
            transitions.receive_evidence(state, receipt.digest, rows=2)
        return receipt.markdown

    async def record_end(self) -> None:
        """Put the last lines into the ledger, the end itself among them."""
        state = self._context.state
        ending = EndRecord(rollout_id=state.rollout_id, events=events_to_record(state))
        await workflow.execute_activity(
            "record_end", ending, summary="end", **activity_options.REPORT
        )
