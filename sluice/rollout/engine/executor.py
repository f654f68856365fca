"""The one interpreter of decisions: the same in the workflow, a rehearsal and every test."""

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from sluice.rollout.engine import transitions
from sluice.rollout.engine.commands import Command
from sluice.rollout.engine.decide import (
    Decision,
    EnterStep,
    ExpireApproval,
    Finish,
    LapseApprovals,
    Pause,
    Promote,
    RecordFinding,
    RollBack,
    RunCheck,
    RunChecklist,
    SendReminder,
    StateDecision,
    Wait,
)
from sluice.rollout.engine.flag_target import flag_at_zero, flag_for_rollback, flag_for_step
from sluice.rollout.engine.state import Abort, Rollback, State
from sluice.rollout.engine.world import (
    CheckResult,
    World,
    WorldError,
    build_check_request,
    unmeasured_check,
)
from sluice.rollout.plan.checklist import ItemResult
from sluice.rollout.plan.schema import Step

Clock = Callable[[], datetime]


async def execute(state: State, clock: Clock, decision: Decision, world: World) -> None:
    """Carry one decision out: its effects on the world, then its transition of the state.

    Exceptions of the world other than WorldError pass; the state has then changed by a greater
    write sequence, or by a rollback that began, at most.
    """
    if isinstance(decision, StateDecision):
        _apply(state, clock(), decision)
        return
    match decision:
        case EnterStep(step):
            await _enter_step(state, clock, step, world)
        case RunCheck():
            await _run_check(state, clock, decision, world)
        case RunChecklist():
            await _run_checklist(state, clock, decision, world)
        case RollBack():
            await _roll_back(state, clock, decision, world)
        case Finish():
            await _finish(state, clock, decision, world)
        case Wait(until, reason):
            await world.wait(until, reason)
        case _:
            assert_never(decision)


def _apply(state: State, now: datetime, decision: StateDecision) -> None:
    match decision:
        case ExpireApproval(reason):
            transitions.expire_approval(state, now, reason)
        case LapseApprovals(reason):
            transitions.lapse_approvals(state, now, reason)
        case Promote(step, reason):
            transitions.promote(state, now, step, reason)
        case RecordFinding(finding):
            transitions.record_finding(state, now, finding)
        case SendReminder():
            transitions.expire_acknowledgements(state, now)
            transitions.send_reminders(state, now)
        case Pause(reason, auto_rollback_at, finding):
            transitions.pause_automatically(state, now, reason, auto_rollback_at, finding)
        case _:
            assert_never(decision)


async def _enter_step(state: State, clock: Clock, step: Step, world: World) -> None:
    """Switch the step on; the state then holds what the store holds."""
    actor = state.clear_kill_for or "sluice"
    write = transitions.next_write(state, flag_for_step(state, step), actor, step.title)
    try:
        receipt = await world.write(write)
    except WorldError as error:
        transitions.pause_automatically(state, clock(), f"can't start {step.title}: {error}")
        return
    transitions.enter_step(state, clock(), step, receipt.percentage)


async def _run_check(state: State, clock: Clock, decision: RunCheck, world: World) -> None:
    request = build_check_request(state, clock(), decision)
    try:
        result = await world.check(request)
    except WorldError as error:
        result = CheckResult(check=unmeasured_check(request, str(error)))
    else:
        transitions.mark_recorded(state, request.at)
    if state.step_under_check is not decision.step or state.pause is not None:
        return  # the result is about a step that is over
    transitions.merge_evidence(state, "gates", result.sequential_states)
    if decision.live:
        transitions.record_check(state, clock(), decision.step, result.check, result.baseline)
    else:
        transitions.record_waiting_check(state, clock(), result.check)


async def _run_checklist(state: State, clock: Clock, decision: RunChecklist, world: World) -> None:
    """Let the world evaluate the items; one that could not be evaluated isn't done."""
    now = clock()
    try:
        results = await world.run_checklist(decision.step, decision.items)
    except WorldError as error:
        reason = f"could not be checked: {error}"
        results = tuple(
            ItemResult(item=item.name, passed=False, reason=reason, at=now)
            for item in decision.items
        )
    transitions.record_item_results(state, clock(), results)


async def _roll_back(state: State, clock: Clock, decision: RollBack, world: World) -> None:
    """Take traffic away; a rollback that replaced this one meanwhile is carried out next."""
    rollback = _pending_or_new(state, clock(), decision)
    desired = flag_for_rollback(state, rollback)
    write = transitions.next_write(state, desired, rollback.actor, rollback.reason)
    receipt = await world.write(write)
    transitions.catch_up(state, receipt)
    if state.rollback is rollback and state.abort is None:
        transitions.complete_rollback(state, clock(), rollback, receipt.percentage, receipt.version)


def _pending_or_new(state: State, now: datetime, decision: RollBack) -> Rollback:
    pending = state.pending_rollback
    if pending is not None and pending.kind is decision.kind:
        return pending
    by = Command(actor="sluice", reason=decision.reason)
    return transitions.start_rollback(state, now, decision.kind, by)


async def _finish(state: State, clock: Clock, decision: Finish, world: World) -> None:
    """Write the post-mortem and end; an aborted rollout first takes every user's treatment away."""
    if decision.abort is not None:
        await _write_zero(state, clock, decision.abort, world)
    report = await world.report(decision.status)
    transitions.finish(state, clock(), decision.status, report)


async def _write_zero(state: State, clock: Clock, abort: Abort, world: World) -> None:
    reason = abort.reason or "the rollout was aborted"
    write = transitions.next_write(state, flag_at_zero(state, kill=False), abort.actor, reason)
    receipt = await world.write(write)
    transitions.catch_up(state, receipt)
    transitions.record_abort_write(state, clock(), receipt.percentage)
    transitions.confirm_abort(state, clock(), await world.confirm(receipt))
