"""What keeps a step from starting: its checklist, its approvals, a freeze, or the readings."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.approvals import approval_expires_at, missing_approvals
from sluice.rollout.engine.flag_target import phases_at
from sluice.rollout.engine.state import State
from sluice.rollout.plan.checklist import AUTOMATED_CHECKS, ChecklistItem, ItemResult
from sluice.rollout.plan.freeze_windows import active_freeze
from sluice.rollout.plan.schema import Step
from sluice.rollout.units import format_duration

_LISTED_ITEMS_MAX = 4


class Blocker(Model):
    """One reason why the step can't start yet; ``until`` is when it ends by itself."""

    reason: str
    until: datetime | None = None


class ChecklistRow(Model):
    """One line of a checklist as it stands: ``done`` None says that nobody has answered yet."""

    item: ChecklistItem
    done: bool | None
    reason: str


def blockers(state: State, step: Step, now: datetime) -> Iterator[Blocker]:
    """Everything that the step waits for, the most laborious first."""
    yield from _checklist_blockers(state, step, now)
    if count := missing_approvals(state, step):
        yield Blocker(
            reason=f"waiting for approval of {step.title} ({count} more)",
            until=approval_expires_at(state, step),
        )
    held = active_freeze(state.plan.freezes, now)
    if held is not None and increases_exposure(state, step):
        yield Blocker(reason=held.text, until=held.until)
    yield from _reading_blockers(state)


def blocked_reason(state: State, now: datetime) -> str:
    """What the next step still waits for, in words; empty when nothing, or it is live."""
    step = state.step
    if step is None or state.step_started_at is not None:
        return ""
    waits = [one.reason for one in blockers(state, step, now)]
    return f"taken; {'; '.join(waits)}" if waits else ""


def _checklist_blockers(state: State, step: Step, now: datetime) -> Iterator[Blocker]:
    lines = checklist_rows(state, step, now)
    missing_ones = [line for line in lines if not line.done]
    if not missing_ones:
        return
    done = len(lines) - len(missing_ones)
    shown = [_describe_row(line) for line in missing_ones[:_LISTED_ITEMS_MAX]]
    more = len(missing_ones) - len(shown)
    text = "; ".join([*shown, *([f"{more} more"] if more else [])])
    yield Blocker(
        reason=f"checklist of {step.title}, {done} of {len(lines)} done: {text}",
        until=next_recheck_at(state, step, now),
    )


def _describe_row(line: ChecklistRow) -> str:
    if line.item.check == "attested":
        return f"{line.item.name} (sluice attest {line.item.name})"
    return f"{line.item.name}: {line.reason}"


def _reading_blockers(state: State) -> Iterator[Blocker]:
    check = state.evidence
    if check is None or state.overridden_by or check.outcome is Outcome.SUCCESSFUL:
        return
    yield Blocker(reason=f"{check.step} is {check.outcome} meanwhile: {check.reason}")


def increases_exposure(state: State, step: Step) -> bool:
    """Whether starting ``step`` gives the treatment to anybody who doesn't have it."""
    if (step.percentage or 0) > state.percentage or step.whitelist or step.delete_flag:
        return True
    index = state.plan.index(step.name)
    wanted = phases_at(state.plan, index)
    before = phases_at(state.plan, index - 1) if index else None
    if wanted is None:
        return False
    names = type(wanted).model_fields
    return any(getattr(wanted, n) and not (before and getattr(before, n)) for n in names)


def checklist_rows(state: State, step: Step, now: datetime) -> list[ChecklistRow]:
    """Every line of the step's checklist as it stands now."""
    return [_checklist_row(state, item, now) for item in step.checklist]


def _checklist_row(state: State, item: ChecklistItem, now: datetime) -> ChecklistRow:
    if item.check == "attested":
        word = state.attestations.get(item.name)
        said = f"{word.actor}: {word.note}".rstrip(": ") if word else "nobody has attested it"
        return ChecklistRow(item=item, done=bool(word) or None, reason=said)
    if item.check == "baseline":
        gone = [g.metric for g in state.plan.baselines if g.metric not in state.baseline]
        said = f"no baseline of {', '.join(gone)}" if gone else f"{len(state.baseline)} recorded"
        return ChecklistRow(item=item, done=not gone, reason=said)
    if item.check == "earlier_steps":
        return _earlier_steps_row(state, item)
    if item.check == "live_time":
        return _live_time_row(state, item, now)
    answer = state.item_results.get(item.name)
    if answer is None:
        return ChecklistRow(item=item, done=None, reason="not checked yet")
    return ChecklistRow(item=item, done=answer.passed, reason=answer.reason)


def _earlier_steps_row(state: State, item: ChecklistItem) -> ChecklistRow:
    names = [one.name for one in state.plan.steps[: state.step_index]]
    gone = [name for name in names if name not in state.completed_steps]
    said = [f"{name} ({state.completed_steps[name]})" for name in names if name not in gone]
    because = f"not ended: {', '.join(gone)}" if gone else "; ".join(said) or "there are none"
    return ChecklistRow(item=item, done=not gone, reason=because)


def _live_time_row(state: State, item: ChecklistItem, now: datetime) -> ChecklistRow:
    asked = item.at_least or timedelta(0)
    since = state.exposed_since if state.exposed_step_name else None
    if since is None:
        return ChecklistRow(item=item, done=False, reason="no step is live")
    live = timedelta(seconds=int((now - since).total_seconds()))
    because = (
        f"{state.exposed_step_name} live for {format_duration(live)} of {format_duration(asked)}"
    )
    return ChecklistRow(item=item, done=now - since >= asked, reason=because)


def items_due(state: State, step: Step, now: datetime) -> tuple[ChecklistItem, ...]:
    """The items that a machine must look at now: never looked at, failed, or passed long ago."""
    return tuple(
        item
        for item in step.checklist
        if item.check in AUTOMATED_CHECKS and _recheck_at(state, item) <= now
    )


def next_recheck_at(state: State, step: Step, now: datetime) -> datetime | None:
    """When the checklist may stand otherwise without a person; None when it never does."""
    times = [_recheck_at(state, item) for item in step.checklist if item.check in AUTOMATED_CHECKS]
    if state.exposed_since is not None:
        times += [state.exposed_since + one.at_least for one in step.checklist if one.at_least]
    return min((time for time in times if time > now), default=None)


def _recheck_at(state: State, item: ChecklistItem) -> datetime:
    answer: ItemResult | None = state.item_results.get(item.name)
    if answer is None:
        return state.waiting_since
    rules = state.plan.checklists
    return answer.at + (rules.valid_for if answer.passed else rules.retry_every)
