"""Doing what was decided: one method per decision."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.check import CheckActivities
    from activities.contract.models import CheckRequest, CheckResult, ReportReceipt, ReportRequest
    from activities.flags import FlagActivities
    from sluice.rollout.analysis.verdict import Check, Outcome, Verdict
    from sluice.rollout.engine import flag_target, transitions
    from sluice.rollout.engine.commands import Command
    from sluice.rollout.engine.decide import EnterStep, Finish, RollBack, RunCheck, Wait
    from sluice.rollout.engine.evidence_context import build_evidence_context, merge_evidence
    from sluice.rollout.engine.rollback import start_rollback
    from sluice.rollout.engine.state import Rollback, Status
    from sluice.rollout.engine.timeline import events_to_record
    from sluice.rollout.plan.schema import Step
    from workflows import activity_options, temporal_ui
    from workflows.base import root_cause
    from workflows.checklist_runner import ChecklistRunner
    from workflows.code_revert import CodeRevertRunner


class DecisionExecutor(ChecklistRunner, CodeRevertRunner):
    """The only place where the rollout touches the world."""

    async def enter_step(self, decision: EnterStep) -> None:
        """Switch the step on; what the store then says is what the state says."""
        step = self._current_step()
        self.stop_watch()  # it would take the new percentage for somebody else's
        actor = self.state.clear_kill_for or "sluice"
        write = self.next_write(flag_target.flag_for_step(self.state, step), actor, step.title)
        try:
            receipt = await self.preemptible(
                workflow.start_activity_method(
                    FlagActivities.apply,
                    write,
                    summary=step.title,
                    **activity_options.APPLY_UNTIL_DONE,
                )
            )
        except FailureError as error:
            transitions.pause_automatically(
                self.state, workflow.now(), f"can't start {step.title}: {root_cause(error)}"
            )
            return
        transitions.enter_step(self.state, workflow.now(), receipt.percentage)

    async def run_check(self, decision: RunCheck) -> None:
        step, at = self._step_under_check(), workflow.now()
        live = self.state.step_started_at is not None
        request = CheckRequest(
            id=f"{step.name}/{self.state.check_count}",
            rollout_id=self.state.rollout_id,
            step=step.name,
            at=at,
            metrics=self.state.plan.metrics,
            gates=step.gates,
            baseline=self.state.baseline,
            baseline_gates=self.state.plan.baselines if live and step.record_baseline else (),
            events=events_to_record(self.state),
            evidence_context=build_evidence_context(self.state, "gates", step),
            stale_after=self.state.plan.stale_after,
        )
        try:
            result = await self.preemptible(
                workflow.start_activity_method(
                    CheckActivities.check, request, summary=request.id, **activity_options.CHECK
                )
            )
            self.state.recorded_until = at
        except FailureError as error:
            result = CheckResult(check=_failed_check(request, root_cause(error)))
        if self.state.step_under_check is not step or self.state.paused_at is not None:
            return
        merge_evidence(self.state, "gates", result.sequential_states)
        if live:
            transitions.record_check(self.state, workflow.now(), result.check, result.baseline)
        else:
            transitions.record_waiting_check(self.state, workflow.now(), result.check)

    async def roll_back(self, decision: RollBack) -> None:
        """Take traffic away, then ask the router processes whether it is gone."""
        by = Command(actor="sluice", reason=decision.reason)
        rollback = self._pending_rollback() or start_rollback(
            self.state, workflow.now(), decision.kind, by
        )
        wanted = flag_target.flag_for_rollback(self.state, rollback)
        receipt = await self.reduce(
            wanted, rollback.actor, rollback.reason, lambda: self._is_superseded(rollback)
        )
        if self._is_superseded(rollback):
            return
        transitions.complete_rollback(
            self.state, workflow.now(), receipt.percentage, receipt.version
        )
        self.wake()  # asks every router process

    async def wait(self, decision: Wait) -> None:
        self.publish_status(decision.reason, decision.until)
        seen = self.revision
        timeout = None
        if decision.until is not None:
            timeout = max(0.0, (decision.until - workflow.now()).total_seconds())
        try:
            await workflow.wait_condition(
                lambda: self.revision != seen,
                timeout=timeout,
                timeout_summary=decision.reason[:200],
            )
        except TimeoutError:
            return

    async def finish(self, decision: Finish) -> None:
        """Make sure of 0 % when it was aborted, write the post-mortem, and say how it ended."""
        self.stop_watch()
        if decision.status is Status.ABORTED:
            receipt = await self.abort_to_zero(self.state.aborted_by, "the rollout was aborted")
            self.publish_status("asking every router process", None)
            await self.confirm_zero(receipt)
            await self.wait_for_revert()
        self.publish_status("writing the post-mortem", None)
        ending = "Aborted" if decision.status is Status.ABORTED else "Healthy"
        request = ReportRequest(state=self.state, ending=ending, at=workflow.now())
        work = workflow.start_activity(
            "write_report",  # by name: its plotting library has no business in workflow code
            request,
            result_type=ReportReceipt,
            summary="post-mortem",
            **activity_options.REPORT,
        )
        # A rollback may still overtake a healthy end; nothing is more urgent than an abort.
        written = await (work if ending == "Aborted" else self.preemptible(work))
        transitions.finish(self.state, workflow.now(), decision.status, written.markdown)
        self.publish_status("finished", None)

    def publish_status(self, reason: str, until: datetime | None) -> None:
        """Tell people: the Temporal UI's current details, and what queries answer."""
        self.waiting_for, self.waiting_until = reason, until
        workflow.set_current_details(
            temporal_ui.current_details(self.state, reason, until, workflow.now())
        )
        attributes = temporal_ui.search_attributes(self.state)
        if attributes != self.published_attributes:
            workflow.upsert_search_attributes(attributes)
            self.published_attributes = attributes

    def _current_step(self) -> Step:
        step = self.state.step
        assert step is not None  # noqa: S101  decide() only asks this of a live step
        return step

    def _step_under_check(self) -> Step:
        step = self.state.step_under_check
        assert step is not None  # noqa: S101  decide() only asks this where something is live
        return step

    def _pending_rollback(self) -> Rollback | None:
        rollback = self.state.rollback
        return rollback if rollback is not None and rollback.completed_at is None else None

    def _is_superseded(self, rollback: Rollback) -> bool:
        replaced = self.state.rollback is not rollback or bool(self.state.aborted_by)
        return replaced or self.stop_signalled()


def _failed_check(request: CheckRequest, reason: str) -> Check:
    verdicts = tuple(
        Verdict(
            gate=gate.name,
            outcome=Outcome.ERROR,
            reason=f"{gate.name}: the check could not be made: {reason}",
            severity=gate.severity,
        )
        for gate in request.gates
    )
    return Check(id=request.id, at=request.at, step=request.step, verdicts=verdicts)
