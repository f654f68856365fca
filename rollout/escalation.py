"""The guide's severity levels over time: what is due when nobody has acted (guide: Escalation Path)."""

from datetime import datetime, timedelta

from rollout.gate import Severity
from rollout.state import Reminder, State
from rollout.telling import notify, tell

SLOW_AFTER = timedelta(minutes=1)
"""A rollback that takes longer than this, read-back included, is a page."""


def remember(state: State, now: datetime, name: str, because: str) -> None:
    """Note a P2: it is to be looked into within ``p2_reminds_after``."""
    others = tuple(one for one in state.reminders if one.name != name)
    due_at = now + state.plan.escalation.p2_reminds_after
    state.reminders = (*others, Reminder(name=name, because=because, due_at=due_at))


def next_reminder_at(state: State) -> datetime | None:
    return min((one.due_at for one in state.reminders), default=None)


def reminded(state: State, now: datetime) -> None:
    """Remind of every P2 that is due, and look at it afresh: if it still burns, it is noted anew."""
    due = [one for one in state.reminders if one.due_at <= now]
    state.reminders = tuple(one for one in state.reminders if one.due_at > now)
    state.noted = tuple(name for name in state.noted if name not in {one.name for one in due})
    for one in due:
        text = f"time to look into it is over: {one.because}"
        tell(state, now, "reminder", text)
        notify(state, now, Severity.P2, one.name, text)


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
    return since + SLOW_AFTER if since is not None and since != state.paged_for else None


def paged(state: State, now: datetime) -> None:
    """Page: the rollback goes on, but a person should know that it isn't done."""
    rollback = state.rollback
    state.paged_for = slow_since(state)
    done = rollback is not None and rollback.done_at is not None and state.aborted_at is None
    stuck = "not every router process confirms it" if done else "it is not confirmed"
    text = f"a rollback takes longer than a minute: {stuck}; it is tried until it is done"
    tell(state, now, "problem", text)
    notify(state, now, Severity.P0, "rollback_slow", text)


def zero_confirmed(state: State, now: datetime, text: str) -> None:
    """Record what the router processes said after the abort."""
    state.zero_confirmed_at = now
    tell(state, now, "confirmed", text)
