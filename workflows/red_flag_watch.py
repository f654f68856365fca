"""The red-flag watch: one long-running activity for as long as a step's settings are live."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.contract.models import WatchRequest, WatchResult
    from activities.measuring.flag_drift import KILLED
    from activities.watch import WatchActivities
    from sluice.rollout.analysis.gate import GateKind
    from sluice.rollout.analysis.reading import Reading
    from sluice.rollout.engine import transitions
    from sluice.rollout.engine.evidence_context import build_evidence_context
    from sluice.rollout.engine.flag_target import phases_at
    from sluice.rollout.engine.state import State
    from sluice.rollout.plan.schema import Step
    from workflows import activity_options
    from workflows.context import RolloutContext


class RedFlagWatcher:
    """Keeps exactly one watch running, and the right one."""

    def __init__(self, context: RolloutContext) -> None:
        self._context = context
        self._running: tuple[WatchRequest, asyncio.Task[None]] | None = None

    def sync(self, state: State) -> None:
        """Start, replace or stop the watch so that it fits the state."""
        desired = None if self._context.must_reduce_traffic() else _desired_watch(state)
        self._replace(desired)

    def guard_rollback(self, state: State) -> None:
        """Watch the red flags while a rollback takes long: a P0 turns it into an emergency."""
        if state.abort is None and state.red_flags.finding is None:
            self._replace(_desired_watch(state))

    def _replace(self, desired: WatchRequest | None) -> None:
        if self._running is not None and (self._running[0] != desired or self._running[1].done()):
            self.cancel()
        if desired is not None and self._running is None:
            self._running = desired, asyncio.create_task(self._watch(desired))

    def cancel(self) -> None:
        """Stop the watch that is running."""
        if self._running is not None:
            self._running[1].cancel()
            self._running = None

    async def _watch(self, request: WatchRequest) -> None:
        state = self._context.state
        try:
            result: WatchResult = await workflow.execute_activity_method(
                WatchActivities.watch,
                request,
                summary=f"red flags of {request.step}",
                **activity_options.watch_options(state.plan.watch_interval),
            )
        except FailureError as error:
            if not is_cancelled_exception(error):
                workflow.logger.error("the watch ended", exc_info=error)
                await workflow.sleep(1)
                self._context.wake()  # the main loop starts another one
            return
        transitions.merge_evidence(state, "red_flags", result.sequential_states)
        if result.finding is not None:
            transitions.raise_finding(state, workflow.now(), result.finding)
        self._context.wake()


def _desired_watch(state: State) -> WatchRequest | None:
    step = state.exposed_step
    if step is None:
        return _desired_watch_at_zero(state)
    is_settled = state.pending_rollback is None
    phases = phases_at(state.plan, state.plan.index(step.name))
    expected = state.percentage if is_settled and _owns_flag(state, step) else None
    finds_askers = step.delete_flag and phases is None and is_settled
    if expected is None and not step.red_flags and not finds_askers:
        return None
    update = {
        "percentage": expected,
        "run_id": state.run_id if is_settled else "",
        "phases": phases if expected is not None else None,
        "is_permanent": step.delete_flag,
        "finds_askers": finds_askers,
        "muted_findings": state.silent_findings,
        "metrics": {gate.metric: state.plan.metrics[gate.metric] for gate in step.red_flags},
        "red_flags": step.red_flags,
        "baseline": _needed_baseline(state, step),
        "evidence_context": build_evidence_context(state, "red_flags", step),
        "handover_seconds": activity_options.WATCH_HANDOVER.total_seconds(),
        "stale_after": state.plan.stale_after,
        "blind_after": state.plan.blind_limit,
        "blind_severity": state.plan.blind_severity,
        "live_since": state.live.since,
    }
    return _flag_watch(state, step).model_copy(update=update)


def _flag_watch(state: State, step: Step) -> WatchRequest:
    """Build the request to watch the flag alone: only this rollout may write it."""
    return WatchRequest(
        rollout_id=state.rollout_id,
        step=step.name,
        environment=state.plan.environment,
        flag=state.plan.flag,
        percentage=state.percentage,
        interval_seconds=state.plan.watch_interval.total_seconds(),
        run_id=state.run_id,
        sequence=state.sequence,
    )


def _needed_baseline(state: State, step: Step) -> dict[str, Reading]:
    """Return the readings that red flags compare with; a new one of another would replace the watch."""
    needed = {gate.metric for gate in step.red_flags if gate.kind is GateKind.BASELINE}
    return {name: reading for name, reading in state.baseline.items() if name in needed}


def _desired_watch_at_zero(state: State) -> WatchRequest | None:
    """Watch the flag after a rollback to 0 %, when no step's red flags count."""
    step = state.rollback_origin_step
    is_settled = state.sequence > 0 and state.pending_rollback is None
    if not is_settled or not _owns_flag(state, step):
        return None
    return _flag_watch(state, step).model_copy(update={"muted_findings": (KILLED,)})


def _owns_flag(state: State, step: Step) -> bool:
    """Return True if the flag exists by this step's doing: from the first percentage on."""
    index = state.plan.index(step.name)
    is_created = any(past.percentage is not None for past in state.plan.steps[: index + 1])
    return is_created and not step.delete_flag
