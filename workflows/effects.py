"""Doing what was decided: one method per decision."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.flags import FlagActivities
    from activities.measure import MeasureActivities
    from activities.models import (
        CheckRequest,
        CheckResult,
        ReportReceipt,
        ReportRequest,
    )
    from rollout import moves, target, waiting
    from rollout.commands import Command
    from rollout.decide import CheckNow, Enter, Finish, RollBack, Wait
    from rollout.exposure import exposure, keep
    from rollout.plan import Step
    from rollout.state import Rollback, Status
    from rollout.verdict import Check, Outcome, Verdict
    from workflows import policies, presenting
    from workflows.base import cause
    from workflows.readying import Readying
    from workflows.reverting import Reverting


class Effects(Readying, Reverting):
    """The only place where the rollout touches the world."""

    async def do_enter(self, decision: Enter) -> None:
        """Switch the step on; what the store then says is what the state says."""
        step = self._step()
        self.stop_watch()  # it would take the new percentage for somebody else's
        actor = self.state.unkill_by or "sluice"
        write = self.flag_target(target.to_enter(self.state, step), actor, step.title)
        try:
            receipt = await self.unless_urgent(
                workflow.start_activity_method(
                    FlagActivities.apply, write, summary=step.title, **policies.APPLY_UNTIL_DONE
                )
            )
        except FailureError as error:
            moves.held(self.state, workflow.now(), f"can't start {step.title}: {cause(error)}")
            return
        moves.entered(self.state, workflow.now(), receipt.percentage)

    async def do_check(self, decision: CheckNow) -> None:
        step, at = self._checked_step(), workflow.now()
        live = self.state.step_started_at is not None
        request = CheckRequest(
            id=f"{step.name}/{self.state.checks}",
            rollout_id=self.state.rollout_id,
            step=step.name,
            at=at,
            metrics=self.state.plan.metrics,
            gates=step.gates,
            baseline=self.state.baseline,
            baselines=self.state.plan.baselines if live and step.record_baseline else (),
            events=moves.unrecorded(self.state),
            exposure=exposure(self.state, "gates", step),
            stale_after=self.state.plan.stale_after,
        )
        try:
            result = await self.unless_urgent(
                workflow.start_activity_method(
                    MeasureActivities.check, request, summary=request.id, **policies.CHECK
                )
            )
            self.state.recorded_until = at
        except FailureError as error:
            result = CheckResult(check=_failed_check(request, cause(error)))
        if self.state.checked_step is not step or self.state.paused_at is not None:
            return
        keep(self.state, "gates", result.tracks)
        if live:
            moves.checked(self.state, workflow.now(), result.check, result.baseline)
        else:
            waiting.looked_again(self.state, workflow.now(), result.check)

    async def do_roll_back(self, decision: RollBack) -> None:
        """Take traffic away, then ask the router processes whether it is gone."""
        by = Command(actor="sluice", reason=decision.because)
        rollback = self._asked() or moves.ask_rollback(
            self.state, workflow.now(), decision.kind, by
        )
        wanted = target.to_roll_back(self.state, rollback)
        receipt = await self.lower(
            wanted, rollback.actor, rollback.because, lambda: self._superseded(rollback)
        )
        if self._superseded(rollback):
            return
        moves.rolled_back(self.state, workflow.now(), receipt.percentage, receipt.version)
        self.changed()  # asks every router process

    async def do_wait(self, decision: Wait) -> None:
        self.present(decision.because, decision.until)
        seen = self.revision
        timeout = None
        if decision.until is not None:
            timeout = max(0.0, (decision.until - workflow.now()).total_seconds())
        try:
            await workflow.wait_condition(
                lambda: self.revision != seen,
                timeout=timeout,
                timeout_summary=decision.because[:200],
            )
        except TimeoutError:
            return

    async def do_finish(self, decision: Finish) -> None:
        """Make sure of 0 % when it was aborted, write the post-mortem, and say how it ended."""
        self.stop_watch()
        if decision.status is Status.ABORTED:
            receipt = await self.zero(self.state.aborted_by, "the rollout was aborted")
            self.present("asking every router process", None)
            await self.confirm_zero(receipt)
            await self.revert_ended()
        self.present("writing the post-mortem", None)
        ending = "Aborted" if decision.status is Status.ABORTED else "Healthy"
        request = ReportRequest(state=self.state, ending=ending, at=workflow.now())
        work = workflow.start_activity(
            "write_report",  # by name: its plotting library has no business in workflow code
            request,
            result_type=ReportReceipt,
            summary="post-mortem",
            **policies.REPORT,
        )
        # A rollback may still overtake a healthy end; nothing is more urgent than an abort.
        written = await (work if ending == "Aborted" else self.unless_urgent(work))
        moves.finished(self.state, workflow.now(), decision.status, written.markdown)
        self.present("finished", None)

    def present(self, because: str, until: datetime | None) -> None:
        """Tell people: the Temporal UI's current details, and what queries answer."""
        self.waiting_for, self.waiting_until = because, until
        workflow.set_current_details(presenting.details(self.state, because, until, workflow.now()))
        attributes = presenting.search_attributes(self.state)
        if attributes != self.shown:
            workflow.upsert_search_attributes(attributes)
            self.shown = attributes

    def _step(self) -> Step:
        step = self.state.step
        assert step is not None  # noqa: S101  decide() only asks this of a live step
        return step

    def _checked_step(self) -> Step:
        step = self.state.checked_step
        assert step is not None  # noqa: S101  decide() only asks this where something is live
        return step

    def _asked(self) -> Rollback | None:
        rollback = self.state.rollback
        return rollback if rollback is not None and rollback.done_at is None else None

    def _superseded(self, rollback: Rollback) -> bool:
        replaced = self.state.rollback is not rollback or bool(self.state.aborted_by)
        return replaced or self.signalled_away()


def _failed_check(request: CheckRequest, because: str) -> Check:
    verdicts = tuple(
        Verdict(
            gate=gate.name,
            outcome=Outcome.ERROR,
            because=f"{gate.name}: the check could not be made: {because}",
            severity=gate.severity,
        )
        for gate in request.gates
    )
    return Check(id=request.id, at=request.at, step=request.step, verdicts=verdicts)
