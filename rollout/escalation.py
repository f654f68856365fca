"""The guide's severity levels over time: what is due when nobody has acted (guide: Escalation Path)."""

from datetime import datetime

from rollout.approving import missing
from rollout.before import hindrances
from rollout.gate import Severity
from rollout.quantity import format_duration
from rollout.state import Reminder, State, Status
from rollout.telling import notify, routed, tell

PAUSED = "paused"
APPROVAL = "approval_waits"
"""Reminders that name no red flag: the rollout waits for a person, and says so again."""


def remember(state: State, now: datetime, name: str, because: str) -> None:
    """Note a P2: it is to be looked into within ``p2_reminds_after``."""
    others = tuple(one for one in state.reminders if one.name != name)
    due_at = now + state.plan.escalation.p2_reminds_after
    state.reminders = (*others, Reminder(name=name, because=because, due_at=due_at))


def forget(state: State, name: str) -> None:
    """Drop a reminder: what it was about is over."""
    state.reminders = tuple(one for one in state.reminders if one.name != name)


def next_reminder_at(state: State) -> datetime | None:
    """When people are to be told something that no event tells."""
    times = [one.due_at for one in state.reminders]
    return min([*times, *([state.waits_since] if _to_ask(state) else [])], default=None)


def reminded(state: State, now: datetime) -> None:
    """Remind of every P2 that is due, and look at it afresh: if it still burns, it is noted anew.

    A pause and an approval that still waits are told again every ``p2_reminds_after``.
    """
    due = [one for one in state.reminders if one.due_at <= now]
    state.reminders = tuple(one for one in state.reminders if one.due_at > now)
    state.noted = tuple(name for name in state.noted if name not in {one.name for one in due})
    for one in due:
        if one.name != APPROVAL:
            _remind(state, now, one)
    if _to_ask(state):
        _ask(state, now)


def _remind(state: State, now: datetime, one: Reminder) -> None:
    text = f"time to look into it is over: {one.because}"
    if one.name == PAUSED:
        remember(state, now, PAUSED, one.because)
        text = f"still paused, waiting for a person: {one.because}"
    tell(state, now, "reminder", text)
    notify(state, now, Severity.P2, one.name, text)


def stopped(state: State, now: datetime, because: str) -> None:
    """Tell people that the rollout paused by itself; no harm is done, but nothing moves."""
    notify(state, now, Severity.P2, PAUSED, because)


def paused(state: State, now: datetime, because: str) -> None:
    """Begin to remind of a pause that only a person ends."""
    forget(state, APPROVAL)
    if routed(state, Severity.P2):
        remember(state, now, PAUSED, because)


def _to_ask(state: State) -> bool:
    """Whether an approval is missing that people have not been asked for (again)."""
    step = state.step
    if step is None or state.step_started_at is not None or not missing(state, step):
        return False
    asked = any(one.name == APPROVAL for one in state.reminders)
    return state.status is Status.PROGRESSING and not asked and routed(state, Severity.P2)


def _ask(state: State, now: datetime) -> None:
    step = state.step
    assert step is not None  # noqa: S101  only a step can wait for approval
    waits = "; ".join(one.because for one in hindrances(state, step, now))
    remember(state, now, APPROVAL, waits)
    text = f"{waits}; `sluice approve {state.plan.flag}`"
    tell(state, now, "waits", text)
    notify(state, now, Severity.P2, APPROVAL, text)


def slow_since(state: State) -> datetime | None:
    """When the rollback or abort began that isn't confirmed yet; None when there is none."""
    if state.ended or state.zero_confirmed_at is not None:
        return None
    if state.aborted_at is not None:
        return state.aborted_at
    rollback = state.rollback
    return rollback.asked_at if rollback is not None and rollback.confirmed_at is None else None


def page_at(state: State) -> datetime | None:
    """When to page because traffic is still not confirmed gone; once for each rollback."""
    since = slow_since(state)
    if since is None or since == state.paged_for:
        return None
    return since + state.plan.escalation.rollback_pages_after


def paged(state: State, now: datetime) -> None:
    """Page: the rollback goes on, but a person should know that it isn't done."""
    rollback = state.rollback
    state.paged_for = slow_since(state)
    done = rollback is not None and rollback.done_at is not None and state.aborted_at is None
    stuck = "not every router process confirms it" if done else "it is not confirmed"
    limit = format_duration(state.plan.escalation.rollback_pages_after)
    text = f"a rollback takes longer than {limit}: {stuck}; it is tried until it is done"
    tell(state, now, "problem", text)
    notify(state, now, Severity.P0, "rollback_slow", text)


def zero_confirmed(state: State, now: datetime, text: str) -> None:
    """Record what the router processes said after the abort."""
    state.zero_confirmed_at = now
    tell(state, now, "confirmed", text)
