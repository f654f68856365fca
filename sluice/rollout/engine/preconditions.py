"""Blockers of a step: its checklist, its approvals, a freeze, or the readings."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.verdict import Outcome
from sluice.rollout.engine.approvals import approval_expires_at, missing_approvals
from sluice.rollout.engine.flag_target import increases_exposure
from sluice.rollout.engine.state import State
from sluice.rollout.plan.checklist import AUTOMATED_CHECKS, ChecklistItem, ItemResult
from sluice.rollout.plan.freeze_windows import active_freeze
from sluice.rollout.plan.schema import Step
from sluice.rollout.units import format_duration

_LISTED_ITEMS_MAX = 4


class Blocker(Model):
    """One reason why the step can't start yet; it may end by itself at ``until``."""

    reason: str
    until: datetime | None = None


class ChecklistRow(Model):
    """One line of a checklist; ``done`` None: not answered yet."""

    item: ChecklistItem
    done: bool | None
    reason: str


def blockers(state: State, step: Step, now: datetime) -> Iterator[Blocker]:
    """Yield everything that the step waits for, the most laborious first."""
    yield from _checklist_blockers(state, step, now)
    if count := missing_approvals(state, step):
        yield Blocker(
            reason=f"waiting for approval of {step.title} ({count} more)",
            until=approval_expires_at(state, step),
        )
    freeze = active_freeze(state.plan.freezes, now)
    if freeze is not None and increases_exposure(state, step):
        yield Blocker(reason=freeze.text, until=freeze.until)
    yield from _reading_blockers(state)


def blocked_reason(state: State, now: datetime) -> str:
    """Return the text of what the next step waits for; empty when nothing, or it is live."""
    step = state.step
    if step is None or state.is_live:
        return ""
    reasons = [blocker.reason for blocker in blockers(state, step, now)]
    return f"accepted; {'; '.join(reasons)}" if reasons else ""


def _checklist_blockers(state: State, step: Step, now: datetime) -> Iterator[Blocker]:
    rows = checklist_rows(state, step, now)
    missing = [row for row in rows if not row.done]
    if not missing:
        return
    done_count = len(rows) - len(missing)
    descriptions = [_describe_row(row) for row in missing[:_LISTED_ITEMS_MAX]]
    unlisted_count = len(missing) - len(descriptions)
    text = "; ".join([*descriptions, *([f"{unlisted_count} more"] if unlisted_count else [])])
    yield Blocker(
        reason=f"checklist of {step.title}, {done_count} of {len(rows)} done: {text}",
        until=next_recheck_at(state, step, now),
    )


def _describe_row(row: ChecklistRow) -> str:
    if row.item.check == "attested":
        return f"{row.item.name} (sluice attest {row.item.name})"
    return f"{row.item.name}: {row.reason}"


def _reading_blockers(state: State) -> Iterator[Blocker]:
    check = state.checks.latest
    if check is None or state.entry.overridden_by or check.outcome is Outcome.SUCCESSFUL:
        return
    yield Blocker(reason=f"{check.step} is {check.outcome} meanwhile: {check.reason}")


def checklist_rows(state: State, step: Step, now: datetime) -> list[ChecklistRow]:
    """Return every line of the step's checklist as of now."""
    return [_checklist_row(state, item, now) for item in state.plan.checklist_of(step)]


def _checklist_row(state: State, item: ChecklistItem, now: datetime) -> ChecklistRow:
    if item.check == "attested":
        attestation = state.attestations.get(item.name)
        reason = (
            f"{attestation.actor}: {attestation.note}".rstrip(": ")
            if attestation
            else "nobody has attested it"
        )
        return ChecklistRow(item=item, done=bool(attestation) or None, reason=reason)
    if item.check == "baseline":
        return _baseline_row(state, item)
    if item.check == "earlier_steps":
        return _earlier_steps_row(state, item)
    if item.check == "live_time":
        return _live_time_row(state, item, now)
    result = state.item_results.get(item.name)
    if result is None:
        return ChecklistRow(item=item, done=None, reason="not checked yet")
    return ChecklistRow(item=item, done=result.passed, reason=result.reason)


def _baseline_row(state: State, item: ChecklistItem) -> ChecklistRow:
    metrics = [gate.metric for gate in state.plan.baselines]
    missing = [metric for metric in metrics if metric not in state.baseline]
    reason = f"{len(state.baseline)} recorded"
    if missing:
        reason = f"no baseline of {', '.join(missing)}"
    return ChecklistRow(item=item, done=not missing, reason=reason)


def _earlier_steps_row(state: State, item: ChecklistItem) -> ChecklistRow:
    names = [step.name for step in state.plan.steps[: state.step_index]]
    missing = [name for name in names if name not in state.completed_steps]
    ended = [f"{name} ({state.completed_steps[name]})" for name in names if name not in missing]
    reason = "; ".join(ended) or "this is the first step"
    if missing:
        reason = f"not ended: {', '.join(missing)}"
    return ChecklistRow(item=item, done=not missing, reason=reason)


def _live_time_row(state: State, item: ChecklistItem, now: datetime) -> ChecklistRow:
    required = item.at_least or timedelta(0)
    since = state.live.since if state.live.name else None
    if since is None:
        return ChecklistRow(item=item, done=False, reason="no step is live")
    live = timedelta(seconds=int((now - since).total_seconds()))
    reason = f"{state.live.name} live for {format_duration(live)} of {format_duration(required)}"
    return ChecklistRow(item=item, done=now - since >= required, reason=reason)


def items_due(state: State, step: Step, now: datetime) -> tuple[ChecklistItem, ...]:
    """Return the automated items to evaluate now: never evaluated, failed, or passed long ago."""
    return tuple(
        item
        for item in state.plan.checklist_of(step)
        if item.check in AUTOMATED_CHECKS and _recheck_at(state, item) <= now
    )


def next_recheck_at(state: State, step: Step, now: datetime) -> datetime | None:
    """Return the time at which the checklist may change without a person; None: it never does."""
    items = state.plan.checklist_of(step)
    times = [_recheck_at(state, item) for item in items if item.check in AUTOMATED_CHECKS]
    if (since := state.live.since) is not None:
        times += [since + item.at_least for item in step.checklist if item.at_least]
    return min((time for time in times if time > now), default=None)


def _recheck_at(state: State, item: ChecklistItem) -> datetime:
    result: ItemResult | None = state.item_results.get(item.name)
    if result is None:
        return state.waiting_since
    rules = state.plan.checklists
    is_lasting = result.passed and item.check != "excludes"  # another rollout may begin any time
    return result.at + (rules.valid_for if is_lasting else rules.retry_every)
